import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../../src/core/clock.ts';
import { errorCode } from '../../../src/core/errors.ts';
import { InFlightCalls } from '../../../src/oona/transport/in-flight.ts';

const test = suite('oona in-flight calls');
const keepAlive = setInterval(() => undefined, 60_000);
test.after(() => clearInterval(keepAlive));

const open = (): InFlightCalls =>
  new InFlightCalls(systemClock, (call) => new Error(`${call.bounds.what} expired`));
const messageOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'resolved',
    (error: Error) => error.message,
  );

test('[R-O1] an answer that never comes ends at its deadline, not before', async () => {
  const startedAt = performance.now();
  const call = open().open({ what: 'ping', deadlineMs: 40 });
  assert.ok(call.live);
  assert.is(await messageOf(call.promise), 'ping expired');
  assert.ok(performance.now() - startedAt >= 39);
  assert.not.ok(call.live);
});

test('[R-O1] a shorter deadline is kept although a longer one is being waited for', async () => {
  const calls = open();
  const long = calls.open({ what: 'long', deadlineMs: 60_000 });
  const short = [20, 60].map((deadlineMs) => messageOf(calls.open({ what: 'short', deadlineMs }).promise));
  assert.equal(await Promise.all(short), ['short expired', 'short expired']);
  assert.ok(long.live);
  long.succeed(undefined);
  await long.promise;
});

test('[R-O1] answers and failures pass through; whatever comes later changes nothing', async () => {
  const calls = open();
  const good = calls.open<number>({ what: 'good', deadlineMs: 1000 });
  good.succeed(7);
  good.fail(new Error('too late'));
  assert.is(await good.promise, 7);
  const bad = calls.open({ what: 'bad', deadlineMs: 1000 });
  bad.fail(new Error('no'));
  bad.succeed('too late');
  assert.is(await messageOf(bad.promise), 'no');
  const late = calls.open({ what: 'late', deadlineMs: 10 });
  assert.is(await messageOf(late.promise), 'late expired');
  late.succeed('too late');
});

test('[R-O1] an abort ends the call at once; one that is over does not hear it', async () => {
  const calls = open();
  const abort = new AbortController();
  const bounds = { what: 'read', deadlineMs: 60_000, signal: abort.signal };
  let told = 0;
  const onAborted = (): void => {
    told += 1;
  };
  const waiting = calls.open(bounds, onAborted);
  const done = calls.open<string>(bounds, onAborted);
  done.succeed('done');
  abort.abort();
  assert.is(await done.promise, 'done');
  assert.is(await waiting.promise.catch(errorCode), 'ESPER_OONA_ABORTED');
  assert.is(told, 1);
  const after = calls.open(bounds, onAborted);
  assert.not.ok(after.live);
  assert.is(await after.promise.catch(errorCode), 'ESPER_OONA_ABORTED');
});

test('[R-O1] failing all ends every call once', async () => {
  const calls = open();
  const pending = [1, 2, 3].map(() => messageOf(calls.open({ what: 'x', deadlineMs: 60_000 }).promise));
  calls.failAll(new Error('closed'));
  calls.close();
  assert.equal(await Promise.all(pending), ['closed', 'closed', 'closed']);
});

test.run();
