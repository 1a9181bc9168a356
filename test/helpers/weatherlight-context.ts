import { type Clock, systemClock } from '../../src/core/clock.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { Metrics } from '../../src/core/metrics.ts';
import type { EmergencyPublisher } from '../../src/oona/types.ts';
import { openEmergencySignal } from '../../src/signals/emergency-signal.ts';
import type { FlagContext } from '../../src/weatherlight/context.ts';
import type { WeatherlightEventBody } from '../../src/weatherlight/events.ts';
import { type Environment, loadSettings } from '../../src/weatherlight/settings.ts';
import { uniqueName } from './weatherlight.ts';

export interface TestContext extends FlagContext {
  readonly metrics: Metrics;
  readonly told: WeatherlightEventBody[];
  readonly errors: unknown[];
}

/** What a part of the supervisor is given, over process-local memory. */
export function testContext(
  more: { readonly env?: Environment; readonly clock?: Clock; readonly bus?: EmergencyPublisher } = {},
): TestContext {
  const told: WeatherlightEventBody[] = [];
  const errors: unknown[] = [];
  return {
    settings: loadSettings({
      ESPER_ALLOW_UNSIGNED: '1',
      ESPER_RUN_ID: 'run',
      ESPER_HOST_ID: 'here',
      ...more.env,
    }),
    signal: openEmergencySignal(uniqueName('part'), { kind: 'process-local', keepAlive: false }),
    bus: more.bus,
    bootId: 'this-boot',
    clock: more.clock ?? systemClock,
    random: () => 0.5,
    metrics: new Metrics(),
    logger: silentLogger,
    told,
    errors,
    emit: (body) => told.push(body),
    reportError: (_, error) => errors.push(error),
  };
}
