import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EmergencyLevel } from '../../../src/leyline/messages.ts';
import { withTrainerHost } from '../../helpers/trainer-host.ts';
import { until } from '../../helpers/until.ts';

const test = suite('emergency controller: clear');
const {
  EMERGENCY_LEVEL_NOTICE: NOTICE,
  EMERGENCY_LEVEL_CONSERVATIVE: CONSERVATIVE,
  EMERGENCY_LEVEL_HALT: HALT,
} = EmergencyLevel;
const why = { reason: 'loss exploded', step: 7 };
const soon = { deadlineMs: 5000 };

test('[R-F3] a clear lowers the flag, is recorded, and tells other hosts which emergency is over', () =>
  withTrainerHost({}, async ({ controller, signal, emergencies, events }) => {
    const halt = controller.escalate(HALT, why);
    controller.escalate(NOTICE, { reason: 'by the way', step: 8 });
    await controller.flush(soon);
    await emergencies();
    const result = controller.clear({ reason: 'operator: fixed' });
    assert.is(result.outcome, 'cleared');
    assert.is(signal.level(), 0);
    await controller.flush(soon);
    const [message] = await emergencies();
    assert.is(message?.level, NOTICE);
    assert.is(message?.reason, 'operator: fixed');
    assert.is(message?.signalId, result.outcome === 'cleared' && result.signalId);
    const { action, cleared } = message?.attributes ?? {};
    assert.equal([action, cleared], ['clear', halt.signalId], 'the HALT, not the notice that came after it');
    assert.is(signal.unpublished().length, 0);
    const told = events.find(({ type }) => type === 'cleared');
    assert.ok(told?.type === 'cleared' && told.clearedLevel === HALT && !told.forced);
    assert.is(controller.clear({ reason: 'again' }).outcome, 'not-set');
  }));

test('[R-F3] a clear of a lower level stays off the emergency stream', () =>
  withTrainerHost({}, async ({ controller, emergencies, telemetry }) => {
    controller.escalate(NOTICE, why);
    assert.is(controller.clear({ reason: 'over' }).outcome, 'cleared');
    await controller.flush(soon);
    assert.is((await emergencies()).length, 0);
    assert.is((await telemetry()).length, 2);
  }));

test('[R-F3] a clear of what the ring has lost says that other hosts were not told', () =>
  withTrainerHost({}, ({ controller, openOther, count, transport }) => {
    controller.escalate(HALT, why);
    const other = openOther();
    for (let i = 0; i < 1000; i++) other.trigger(NOTICE);
    const sent = transport.attempts.length;
    assert.is(controller.clear({ reason: 'over' }).outcome, 'cleared');
    assert.is(count('clear_unnamed_total'), 1);
    assert.is(transport.attempts.length, sent);
    other.close();
  }));

test('[R-F7] a clear never overtakes the emergency that it clears', () =>
  withTrainerHost({}, async ({ controller, transport, emergencies, count }) => {
    transport.mode = 'down';
    const halt = controller.escalate(HALT, why);
    controller.clear({ reason: 'over' });
    await until('tries', () => count('publish_failed_total') > 3);
    const tried = new Set(transport.attempts.map(({ dedupId }) => dedupId));
    assert.equal([...tried], [halt.signalId]);
    transport.mode = 'up';
    await controller.flush(soon);
    const messages = await emergencies();
    assert.equal(
      messages.map(({ level, attributes }) => [level, attributes.cleared]),
      [
        [HALT, undefined],
        [NOTICE, halt.signalId],
      ],
    );
  }));

test('[R-F3] a clear waits for whoever has not seen the emergency, unless forced', () =>
  withTrainerHost({}, async (host) => {
    const other = host.openOther();
    other.join('trainer', 'slow');
    host.controller.escalate(HALT, why);
    const result = host.controller.clear({ reason: 'over' });
    assert.ok(result.outcome === 'unseen' && /trainer:slow/.test(result.waitingFor[0] ?? ''));
    assert.is(host.signal.level(), HALT);
    assert.is(host.controller.clear({ reason: 'over', force: true }).outcome, 'cleared');
    assert.ok(host.signal.history().at(-1)?.forced);
    const told = host.events.find(({ type }) => type === 'cleared');
    assert.ok(told?.type === 'cleared' && told.forced);
    other.close();
  }));

test('[R-F7] clears its own raises only: not once somebody else has raised too, at any level', () =>
  withTrainerHost({}, (host) => {
    const { controller } = host;
    const other = host.openOther();
    const own = () => new Set([controller.escalate(CONSERVATIVE, why).signalId]);
    const clear = (raisedBy: Set<string>) => controller.clear({ reason: 'well again', raisedBy }).outcome;

    assert.is(clear(own()), 'cleared');
    other.trigger(NOTICE);
    assert.is(clear(own()), 'superseded', 'raised on top of somebody');
    controller.clear({ reason: 'operator' });
    const ids = own();
    other.trigger(NOTICE);
    assert.is(clear(ids), 'superseded', 'somebody raised on top');
    controller.clear({ reason: 'operator' });
    assert.is(clear(own()), 'cleared', 'what was cleared before counts no more');
    const many = new Set(Array.from({ length: 1000 }, () => controller.escalate(CONSERVATIVE, why).signalId));
    assert.is(clear(many), 'superseded', 'the ring no longer tells who raised first');
    other.close();
  }));

test.run();
