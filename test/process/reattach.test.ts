import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Metrics } from '../../src/core/metrics.ts';
import { EmergencyLevel } from '../../src/leyline/messages.ts';
import { loadNative } from '../../src/native/load.ts';
import { type EmergencySignal, openEmergencySignal, openRollbackSignal } from '../../src/signals/index.ts';
import type { Command, State } from '../fixtures/signals/follower.ts';
import { type FixtureProcess, startFixture } from '../helpers/fixture-process.ts';
import { until } from '../helpers/until.ts';

// Somebody removes the file of a flag that is in use: by hand, by a clean-up of /dev/shm, by a session manager.

const test = suite('a removed segment');
const { EMERGENCY_LEVEL_NOTICE: NOTICE, EMERGENCY_LEVEL_HALT: HALT } = EmergencyLevel;
const REATTACHED = 'signals.watch.reattached_total';

type Answer = 'ready' | string | State | readonly string[];
const children: FixtureProcess<Answer>[] = [];
const names: string[] = [];
const opened: { close(): void }[] = [];

function newName(): string {
  const name = `moved.${process.pid}.${randomBytes(4).toString('hex')}`;
  names.push(name);
  return name;
}

function open(name: string, metrics = new Metrics()): EmergencySignal {
  const signal = openEmergencySignal(name, { keepAlive: false, metrics });
  assert.is(signal.kind, 'shared', signal.degraded?.reason);
  opened.push(signal);
  return signal;
}

test.after.each(async () => {
  await Promise.all(children.splice(0).map((child) => child.kill()));
  for (const one of opened.splice(0)) one.close();
  for (const name of names.splice(0)) loadNative().module.unlink(name);
});

async function start(name: string, mode: 'watch' | 'idle'): Promise<FixtureProcess<Answer>> {
  const child = startFixture<Answer>('signals/follower.ts', [name, mode]);
  children.push(child);
  assert.is(await child.next(), 'ready');
  return child;
}

async function ask<T extends Answer>(child: FixtureProcess<Answer>, command: Command): Promise<T> {
  child.send(command);
  return (await child.next()) as T;
}

const stateOf = (child: FixtureProcess<Answer>): Promise<State> => ask(child, { do: 'state' });

function untilState(
  what: string,
  child: FixtureProcess<Answer>,
  probe: (state: State) => boolean,
): Promise<State> {
  return until(what, async () => {
    const state = await stateOf(child);
    return probe(state) && state;
  });
}

test('[R-F10] [R-B2] processes that use a removed segment meet again in the new one, and no later trigger is lost', async () => {
  const name = newName();
  const [watcher, raiser] = [await start(name, 'watch'), await start(name, 'idle')];
  const first = await ask<string>(raiser, { do: 'trigger', level: HALT });
  const before = await untilState('the first HALT', watcher, (state) => state.heard.includes(first));
  assert.equal([before.level, before.reattached], [HALT, 0]);

  rmSync(open(name).path);
  const after = await untilState('the new segment', watcher, (state) => state.reattached === 1);
  assert.is.not(after.segmentId, before.segmentId);
  assert.equal([after.created, after.isSet, after.level, after.generation], [true, false, 0, 0]);
  assert.equal(after.members, ['trainer:watch'], 'the participant slot is taken again');
  assert.equal(after.warnings, [
    'emergency signal: its name was removed or leads elsewhere',
    'emergency signal: attached to the new segment of its name',
  ]);

  // It watches nothing, so nothing told it: it follows with its trigger, which is heard under the same id.
  const second = await ask<string>(raiser, { do: 'trigger', level: HALT });
  const heard = await untilState('the second HALT', watcher, (state) => state.heard.includes(second));
  assert.equal(heard.heard, [first, second]);
  assert.is(heard.level, HALT);
  assert.equal(heard.members, ['trainer:watch', 'trainer:idle']);
  const raised = await stateOf(raiser);
  assert.equal([raised.segmentId, raised.created, raised.reattached], [after.segmentId, false, 1]);
  const newcomer = open(name);
  assert.equal([newcomer.created, newcomer.find(second)?.reason], [false, 'idle']);
});

test('[R-F10] a consumer reads the rest of the removed segment, then the new one from its oldest record', async () => {
  const name = newName();
  const old = open(name);
  const watcher = await start(name, 'watch');
  const ids = Array.from({ length: 200 }, () => old.trigger(NOTICE));
  rmSync(old.path);
  await untilState('the new segment', watcher, (state) => state.reattached === 1);
  const next = open(name);
  ids.push(...Array.from({ length: 200 }, () => next.trigger(NOTICE)));
  const { heard } = await untilState('all records', watcher, (state) => state.heard.length >= ids.length);
  assert.equal(heard, ids);
  assert.equal(
    await ask(watcher, { do: 'pull', count: ids.length }),
    ids,
    'also one that had read nothing yet',
  );
});

test('[R-F9] what cannot be attached is tried again and again, and the old memory goes on meanwhile', async () => {
  const name = newName();
  const [watcher, other] = [await start(name, 'watch'), await start(name, 'watch')];
  const before = await stateOf(watcher);
  const { path } = open(name);
  rmSync(path);
  writeFileSync(path, 'not a segment', { mode: 0o600 });
  // Nobody raises anything in between: the attempts come by themselves.
  const failing = await untilState('the third attempt', watcher, (state) => state.failed >= 3);
  assert.is(failing.segmentId, before.segmentId);
  assert.equal(failing.warnings, [
    'emergency signal: its name was removed or leads elsewhere',
    'emergency signal: what has its name now cannot be attached',
  ]);
  const id = await ask<string>(other, { do: 'trigger', level: HALT });
  await untilState('the HALT in the old memory', watcher, (state) => state.heard.includes(id) && state.isSet);

  rmSync(path);
  const states = await Promise.all(
    [watcher, other].map((one) => untilState('the new segment', one, (state) => state.reattached === 1)),
  );
  assert.is(states[0]?.segmentId, states[1]?.segmentId);
});

test('[R-F9] a signal that must not follow its name stays, and so does one that removed it', async () => {
  const metrics = new Metrics();
  const name = newName();
  const options = { keepAlive: false, metrics };
  const staying = openEmergencySignal(name, { ...options, followName: false });
  const removing = openEmergencySignal(name, options);
  opened.push(staying, removing);
  for (const signal of [staying, removing]) signal.subscribe(() => undefined);
  const { segmentId } = staying;
  removing.unlink();
  await until('both notices', () => metrics.value('signals.watch.name_moved_total') === 2);
  removing.trigger(HALT);
  assert.equal([staying.level(), staying.segmentId, removing.segmentId], [HALT, segmentId, segmentId]);
  assert.is(staying.stats().nameMoved, true);
  assert.is(metrics.value(REATTACHED), 0);
});

test('[R-B5] whoever was silent in the removed segment is gone for those who follow the name', async () => {
  const name = newName();
  const [trainer, supervisor] = [open(name), open(name)];
  trainer.join('trainer', 'a', { limitsMs: { training: 30 }, phase: 'training' });
  const told: string[] = [];
  supervisor.onStale(({ type }) => told.push(type));
  await until('silent', () => told.length === 1);
  trainer.close();
  rmSync(supervisor.path);
  supervisor.trigger(HALT);
  assert.equal(told, ['stale', 'gone']);
});

test('[R-B5] the segment that it followed to is judged as the one before was', async () => {
  const name = newName();
  const supervisor = open(name);
  const told: string[] = [];
  supervisor.onStale(({ type, participant }) => told.push(`${type} ${participant.name}`));
  rmSync(supervisor.path);
  supervisor.trigger(HALT);
  open(name).join('trainer', 'b', { limitsMs: { training: 30 }, phase: 'training' });
  await until('silent in the new segment', () => told.includes('stale b'));
});

test('[R-B7] a record of the removed segment marks none of the new one as published', () => {
  const signal = open(newName());
  const old = signal.find(signal.trigger(HALT, { reason: 'old' }));
  rmSync(signal.path);
  // It meets the old memory and is raised once more, as the first record of the new one.
  const fresh = signal.find(signal.trigger(HALT, { reason: 'new' }));
  assert.is(fresh?.reason, 'new');
  assert.is(old?.ticket, fresh?.ticket);
  assert.is(signal.markPublished(old ?? { ticket: 0n }), false);
  assert.is(signal.markPublished({ ticket: 0n }), false, 'a ticket alone may be any record');
  assert.equal(
    signal.unpublished().map((record) => record.signalId),
    [fresh?.signalId],
  );
  assert.is(signal.markPublished(fresh ?? { ticket: 0n }), true);
});

test('[R-F10] a raise is told of in the memory it met, and raised once more where the name leads', () => {
  const name = newName();
  const signal = open(name);
  rmSync(signal.path);
  const told: string[] = [];
  signal.raise(HALT, { reason: 'NaN' }, ({ signalId }) => {
    assert.is(signal.stats().nameMoved, true, 'not yet looked at');
    told.push(signalId);
  });
  assert.is(told.length, 1);
  const other = open(name);
  assert.equal(
    other.history().map((record) => [record.signalId, record.reason]),
    [[told[0], 'NaN']],
  );
});

test('[R-F10] a bridged trigger keeps its id and stays remote when it is raised once more', () => {
  const signal = open(newName());
  rmSync(signal.path);
  const id = signal.trigger(HALT, { reason: 'from afar', remoteSignalId: 'host-b/1' });
  const record = open(signal.name).find(id);
  assert.equal([record?.reason, record?.remote, record?.published], ['from afar', true, true]);
});

test('[R-B1] a rollback keeps its deadline in the memory it was requested in, and follows once it is settled', async () => {
  const metrics = new Metrics();
  const rollback = openRollbackSignal(newName(), { keepAlive: false, metrics });
  opened.push(rollback);
  const phases: string[] = [];
  rollback.subscribe((records) => phases.push(...records.map((record) => record.kind)));
  rollback.request({ requestId: 'r1', step: 1, tier: 1, deadlineMs: 1500 });
  rmSync(rollback.path);
  await until('the notice', () => metrics.value('signals.watch.name_moved_total') === 1);
  await until('the deadline', () => phases.includes('expired'));
  assert.is(metrics.value(REATTACHED), 0);
  assert.is(rollback.settle('r1'), false);
  await until('the new segment', () => metrics.value(REATTACHED) === 1);
  assert.is(rollback.isSet(), false);
  rollback.request({ requestId: 'r2', step: 2, tier: 1, deadlineMs: 60_000 });
  assert.is(rollback.settle('r2'), true);
  await until('the second rollback', () => phases.length === 4);
  assert.equal(phases, ['requested', 'expired', 'requested', 'settled']);
});

test.run();
