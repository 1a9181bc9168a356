import { rmSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EmergencyLevel } from '../../src/leyline/messages.ts';
import { openEmergencySignal } from '../../src/signals/emergency-signal.ts';
import { startService } from '../helpers/service.ts';
import { until } from '../helpers/until.ts';
import { uniqueName } from '../helpers/weatherlight.ts';

const test = suite('segment moved');
const { EMERGENCY_LEVEL_CONSERVATIVE: CONSERVATIVE, EMERGENCY_LEVEL_HALT: HALT } = EmergencyLevel;

test("[R-F10] somebody removes the segment's file: old and new trainers still hear each other", async () => {
  const name = uniqueName('moved');
  const before = openEmergencySignal(name, { keepAlive: false });
  before.join('trainer', 'old');
  const service = startService({
    ESPER_ALLOW_UNSIGNED: '1',
    TOLARIA_EMERGENCY_SIGNAL_NAME: name,
    ESPER_RUN_ID: 'run',
  });
  await service.events.next('started');
  const ended = before.trigger(HALT, { runId: 'run', reason: 'over before the move' });
  await service.events.next('detected', (event) => event.emergency.signalId === ended);
  before.clear(before.read(), { force: true });
  const early = before.trigger(CONSERVATIVE, { runId: 'run', reason: 'before' });
  await service.events.next('detected', (event) => event.emergency.signalId === early);

  rmSync(before.path);
  assert.is((await service.events.next('nameMoved')).reattached, false);
  const after = openEmergencySignal(name, { keepAlive: false });
  assert.ok(after.created);
  after.join('trainer', 'new');
  await service.events.next('nameMoved', (event) => event.reattached);
  // What stood in the old memory stands in the new one.
  await until('the standing emergency', () => after.find(early) !== undefined);
  assert.is(after.level(), CONSERVATIVE);
  // What had ended does not come back.
  assert.is(after.find(ended), undefined);

  const fromOld = before.trigger(HALT, { runId: 'run', reason: 'by the old trainer' });
  await until('in the new memory', () => after.find(fromOld) !== undefined);
  const fromNew = after.trigger(HALT, { runId: 'run', reason: 'by the new trainer' });
  await until('in the old memory', () => before.find(fromNew) !== undefined);
  await service.events.next('outboxPublished', (event) => event.signalId === fromOld);
  await service.events.next('outboxPublished', (event) => event.signalId === fromNew);
  const detected = service.events.of('detected').map((event) => event.emergency.signalId);
  assert.equal(detected, [ended, early, fromOld, fromNew]);

  // The last participant of the old memory leaves; the new one goes on.
  before.close();
  const last = after.trigger(HALT, { runId: 'run', reason: 'after' });
  await service.events.next('detected', (event) => event.emergency.signalId === last);
  assert.is((await service.stop()).code, 0);
  assert.equal(service.events.of('error'), []);
  after.unlink();
  after.close();
});

test.run();
