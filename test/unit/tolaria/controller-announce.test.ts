import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EmergencyLevel } from '../../../src/leyline/messages.ts';
import { createTrainerHost, withTrainerHost } from '../../helpers/trainer-host.ts';

const test = suite('emergency controller: raised without it');
const {
  EMERGENCY_LEVEL_ELEVATED: ELEVATED,
  EMERGENCY_LEVEL_CONSERVATIVE: CONSERVATIVE,
  EMERGENCY_LEVEL_HALT: HALT,
} = EmergencyLevel;
const soon = { deadlineMs: 5000 };

test('[R-F3] [R-B6] announce() counts, publishes and tells a raise under its own id, with what its record holds', () =>
  withTrainerHost({}, async ({ controller, signal, events, emergencies, count }) => {
    signal.trigger(ELEVATED);
    const fields = { reason: 'memory', origin: 'watcher', runId: 'run', step: 7 };
    const signalId = signal.trigger(CONSERVATIVE, fields);
    assert.is(controller.announce(signalId), true);
    const record = signal.find(signalId);
    const [raised] = events;
    assert.equal(raised, {
      type: 'raised',
      signalId,
      monotonicNs: record?.monotonicNs,
      level: CONSERVATIVE,
      previousLevel: ELEVATED,
      repeat: false,
      reason: 'memory',
      step: 7,
    });
    assert.equal([count('escalations_total'), count('escalations_conservative_total')], [1, 1]);
    await controller.flush(soon);
    const [message, ...more] = await emergencies();
    assert.equal(more, []);
    assert.equal(
      [message?.signalId, message?.reason, message?.origin, message?.step, message?.monotonicNs],
      [signalId, 'memory', 'watcher', 7, record?.monotonicNs],
    );
    assert.is(signal.find(signalId)?.published, true);
  }));

test('[R-F3] announce() of a repeat says so; what was raised before a clear does not make one', () =>
  withTrainerHost({}, ({ controller, signal, events, count }) => {
    signal.trigger(HALT);
    const repeated = signal.trigger(CONSERVATIVE);
    signal.clear(signal.read());
    const fresh = signal.trigger(CONSERVATIVE);
    // Comes after, and has no part in where the flag stood before.
    signal.trigger(HALT);
    for (const id of [repeated, fresh]) controller.announce(id);
    assert.equal(
      events.map((event) => event.type === 'raised' && [event.repeat, event.previousLevel]),
      [
        [true, HALT],
        [false, 0],
      ],
    );
    assert.is(count('repeats_total'), 1);
  }));

test('[R-F3] announce() publishes nothing that somebody else has published', () =>
  withTrainerHost({}, async ({ controller, signal, events, transport, count }) => {
    const signalId = signal.trigger(HALT);
    const record = signal.find(signalId);
    assert.ok(record !== undefined && signal.markPublished(record));
    assert.is(controller.announce(signalId), true);
    await controller.flush(soon);
    assert.is(transport.attempts.length, 0);
    assert.equal(
      events.map(({ type }) => type),
      ['raised'],
    );
    assert.is(count('escalations_total'), 1);
  }));

test('[R-F3] announce() knows only raises of this host that the ring holds', () =>
  withTrainerHost({}, ({ controller, signal, events, count }) => {
    const remote = signal.trigger(HALT, { remoteSignalId: 'from-another-host' });
    const cleared = signal.clear(signal.read());
    const clearId = cleared.outcome === 'cleared' ? cleared.signalId : '';
    for (const id of ['unheard-of', '', remote, clearId]) assert.is(controller.announce(id), false, id);
    assert.equal([events.length, count('escalations_total')], [0, 0]);
  }));

test('[R-F11] announce() of a flag that was closed is false, counted, and throws nothing', async () => {
  const host = createTrainerHost();
  const signalId = host.signal.trigger(HALT);
  host.signal.close();
  assert.is(host.controller.announce(signalId), false);
  assert.is(host.count('flag_failed_total'), 1);
  await host.close();
});

test.run();
