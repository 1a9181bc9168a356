import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EmergencyLevel } from '../../src/leyline/messages.ts';
import { createManualClock } from '../helpers/manual-clock.ts';
import { createTrainerHost, type TrainerHost } from '../helpers/trainer-host.ts';
import { until } from '../helpers/until.ts';

const test = suite('emergency controller, for all sequences');

type Action =
  | { readonly do: 'escalate'; readonly level: EmergencyLevel }
  | { readonly do: 'other'; readonly level: EmergencyLevel }
  | { readonly do: 'clear' }
  | { readonly do: 'bus'; readonly mode: 'up' | 'down' | 'lost-reply' }
  | { readonly do: 'wait'; readonly ms: number };

const level = fc.integer({ min: 1, max: 4 }) as fc.Arbitrary<EmergencyLevel>;
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('escalate' as const), level }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('other' as const), level }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('clear' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('bus' as const),
      mode: fc.constantFrom('up' as const, 'down' as const, 'lost-reply' as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 60_000 }) }),
  },
);

interface Sent {
  readonly signalId: string;
  readonly level: EmergencyLevel;
  readonly raised: boolean;
}

/** Runs the actions against the model "level = highest since the last clear"; returns what was escalated here. */
function play(host: TrainerHost, actions: readonly Action[], advance: (ms: number) => void): Sent[] {
  const other = host.openOther();
  const sent: Sent[] = [];
  let expected = 0;
  for (const step of actions) {
    if (step.do === 'escalate') {
      const { signalId, raised, previousLevel } = host.controller.escalate(step.level, {
        reason: 'r',
        step: 1,
      });
      assert.is(previousLevel, expected);
      assert.is(raised, step.level > expected);
      sent.push({ signalId, level: step.level, raised });
      expected = Math.max(expected, step.level);
    } else if (step.do === 'other') {
      other.trigger(step.level);
      expected = Math.max(expected, step.level);
    } else if (step.do === 'clear') {
      const { outcome } = host.controller.clear({ reason: 'over' });
      assert.is(outcome, expected === 0 ? 'not-set' : 'cleared');
      expected = 0;
    } else if (step.do === 'bus') host.transport.mode = step.mode;
    else advance(step.ms);
    assert.is(host.controller.level, expected, 'lowered by a clear alone, raised at once');
  }
  other.close();
  return sent;
}

test('[R-F7] the level never falls but by a clear; no raise and no HALT is ever capped; each leaves by one way', async () => {
  const property = fc.asyncProperty(
    fc.array(action, { minLength: 1, maxLength: 60 }),
    fc.integer({ min: 0, max: 5 }),
    async (actions, bypassMaxPerMin) => {
      const clock = createManualClock();
      const host = createTrainerHost({ clock, bypassMaxPerMin });
      const sent = play(host, actions, clock.advance);
      host.transport.mode = 'up';
      await until('everything is out', () => {
        clock.advance(5000);
        return host.signal.unpublished().every(({ origin }) => origin === '');
      });
      const out = (await host.emergencies()).filter(({ attributes }) => attributes.action === undefined);
      const onStream = new Map(out.map((message) => [message.signalId, message]));
      assert.is(onStream.size, out.length, 'each at most once');
      const told = new Set((await host.telemetry()).map((packet) => packet.events?.[0]?.eventId));
      for (const { signalId, level: asked, raised } of sent) {
        const fast = onStream.has(signalId);
        if (asked < 3) assert.not.ok(fast, 'below CONSERVATIVE');
        if (asked === 4 || (asked === 3 && raised)) assert.ok(fast, 'a raise or a HALT');
        assert.ok(fast || told.has(signalId), 'nothing is lost');
      }
      await host.close();
    },
  );
  await fc.assert(property, { numRuns: 150 });
});

test.run();
