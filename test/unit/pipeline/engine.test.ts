import { setImmediate as turn } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ErrorBus, type ErrorEvent } from '../../../src/faults/index.ts';
import { ErrorSeverity } from '../../../src/leyline/index.ts';
import { type EngineOptions, engine, type PipelineError } from '../../../src/pipeline/index.ts';
import { codeOf, gate, intake } from '../../helpers/pipeline.ts';
import { until } from '../../helpers/until.ts';

const test = suite('engine');
const QUIET = { memoryMonitor: false } as const;

test('[R-E11] events go from adapters through transforms to every emitter, in order', async () => {
  const source = intake<number>();
  const one: string[] = [];
  const two: string[] = [];
  const made = engine<number, string>({
    ...QUIET,
    adapters: [source.adapter],
    transforms: [
      (event: number) => (event % 2 === 0 ? event : undefined),
      async (event: number) => {
        await turn();
        return `e${event}`;
      },
    ],
    emitters: [
      { name: 'one', emit: (event) => void one.push(event) },
      { emitter: { name: 'two', emit: async (event) => void two.push(event) }, concurrency: 1 },
    ],
  });
  await made.start();
  for (let i = 0; i < 20; i++) await source.context.publish(i);
  assert.equal(await made.stop('done'), { reason: 'done', clean: true, unfinished: [], dropped: 0 });
  const expected = Array.from({ length: 10 }, (_, i) => `e${2 * i}`);
  assert.equal([one, two], [expected, expected]);
  const { internal, external } = made.stats();
  assert.is(internal.subscriptions[0]?.delivered, 20, 'what a transform leaves out is delivered as well');
  assert.is(external.subscriptions[0]?.delivered, 10);
});

test('[R-E11] starts emitters, buses and adapters in this order, each after the one before; stops in the reverse', async () => {
  const order: string[] = [];
  const part = (name: string) => ({
    name,
    start: async () => {
      order.push(`${name} starts`);
      await turn();
      order.push(`${name} runs`);
    },
    stop: async () => {
      order.push(`${name} stops`);
      await turn();
      order.push(`${name} ended`);
    },
    emit: () => undefined,
  });
  const made = engine({ ...QUIET, adapters: [part('a1'), part('a2')], emitters: [part('e1'), part('e2')] });
  assert.is(made.state, 'idle');
  await made.start();
  assert.equal([made.state, made.health().ready], ['running', true]);
  const [first, second] = [made.stop(), made.stop()];
  assert.is(first, second);
  await first;
  assert.is(made.state, 'stopped');
  const names = ['e1', 'e2', 'a1', 'a2'];
  assert.equal(order, [
    ...names.flatMap((name) => [`${name} starts`, `${name} runs`]),
    ...names.reverse().flatMap((name) => [`${name} stops`, `${name} ended`]),
  ]);
  assert.is(await codeOf(() => made.start()), 'ESPER_PIPELINE_STATE');
});

test('[R-E11] an adapter that does not start keeps nothing else back; a required one stops all again', async () => {
  const broken = { name: 'broken', start: () => Promise.reject(new Error('no port')) };
  const source = intake<number>();
  const got: number[] = [];
  const emitters = [{ name: 'out', emit: (event: number) => void got.push(event) }];
  const made = engine({ ...QUIET, adapters: [broken, source.adapter], emitters });
  await made.start();
  await source.context.deliver(1);
  assert.equal(got, [1]);
  const { ready, troubles } = made.health();
  assert.equal([ready, troubles[0]?.part, troubles[0]?.error], [false, 'adapter:broken', 'no port']);
  assert.ok((await made.stop()).clean);

  let stopped = 0;
  const stop = (): void => {
    stopped += 1;
  };
  const out = { name: 'out', emit: () => undefined, stop };
  const needs = engine({ ...QUIET, adapters: [{ adapter: broken, required: true }], emitters: [out] });
  const error = await needs.start().catch((thrown: PipelineError) => thrown);
  assert.is(error?.code, 'ESPER_PIPELINE_START_FAILED');
  assert.match(error?.message ?? '', /broken did not start: no port/);
  assert.equal([needs.state, stopped], ['stopped', 1]);
});

test('[R-E7][R-E11] deliver() over transforms: true to the end, also when a transform fails or hangs', async () => {
  const source = intake<string>();
  const { handler, release, fail } = gate<string>();
  const errors: ErrorEvent[] = [];
  const made = engine<string>({
    ...QUIET,
    adapters: [source.adapter],
    transforms: [
      async (event: string, signal: AbortSignal) => {
        if (event === 'throws') throw new Error('cannot parse');
        if (event === 'hangs') await new Promise(() => signal);
        return event.toUpperCase();
      },
    ],
    transformTimeoutMs: 50,
    emitters: [{ name: 'out', emit: handler }],
    errorHandlers: [{ name: 'kept', handle: (event) => void errors.push(event) }],
  });
  await made.start();
  const good = source.context.deliver('good');
  await until('the emitter', () => made.stats().external.subscriptions[0]?.underWay === 1);
  release();
  await good;
  const bad = source.context.deliver('bad').catch((error: PipelineError) => error.message);
  await until('the emitter', () => made.stats().external.subscriptions[0]?.underWay === 1);
  fail(new Error('disk full'));
  assert.match(String(await bad), /disk full/);
  assert.match(
    String(await source.context.deliver('throws').catch((error) => error.message)),
    /cannot parse/,
  );
  assert.is(await codeOf(() => source.context.deliver('hangs')), 'ESPER_PIPELINE_TIMEOUT');
  await made.stop();
  assert.ok(
    errors.some(({ code, type }) => code === 'TRANSFORM_FAILED' && type.startsWith('pipeline.engine.')),
  );
  const { accepted, refused } = made.stats().adapters[0] ?? {};
  assert.equal([accepted, refused], [1, 3]);
});

test('[R-E11] a stop delivers what is queued; at its deadline it drops the rest and names what would not stop', async () => {
  const source = intake<number>();
  const slow: number[] = [];
  const good = engine<number>({
    ...QUIET,
    adapters: [source.adapter],
    emitters: [
      {
        name: 'slow',
        emit: async (event) => {
          await turn();
          slow.push(event);
        },
      },
    ],
  });
  await good.start();
  for (let i = 0; i < 15; i++) await source.context.publish(i);
  assert.ok((await good.stop()).clean);
  assert.is(slow.length, 15);

  const other = intake<number>();
  const { handler, signals } = gate<number>();
  const stuck = engine<number>({
    ...QUIET,
    stopDeadlineMs: 100,
    adapters: [
      other.adapter,
      { name: 'deaf', start: () => undefined, stop: () => new Promise(() => undefined) },
    ],
    emitters: [
      { name: 'hangs', emit: handler },
      { name: 'fine', emit: () => undefined },
    ],
  });
  await stuck.start();
  for (let i = 0; i < 5; i++) await other.context.publish(i);
  const answer = codeOf(() => other.context.deliver(9));
  const report = await stuck.stop('test');
  assert.equal([report.reason, report.clean, report.dropped], ['test', false, 6]);
  assert.ok(report.unfinished.includes('adapter:deaf'));
  assert.not(report.unfinished.includes('emitter:fine'));
  assert.ok(signals[0]?.aborted);
  assert.is(await answer, 'ESPER_PIPELINE_CLOSED', 'who waited for it was told');
  const { subscriptions } = stuck.stats().external;
  for (const { received, delivered, dropped, queued } of subscriptions) {
    assert.equal([received, queued], [delivered + dropped, 0]);
  }
});

test('[R-E11] stopped while a part is still starting: that start is aborted, and nothing after it begins', async () => {
  const { handler, signals } = gate<void>();
  const source = intake<number>();
  const made = engine<number>({
    ...QUIET,
    adapters: [source.adapter],
    emitters: [{ name: 'slow', start: (signal) => handler(undefined, signal), emit: () => undefined }],
  });
  const started = made.start();
  await until('the start', () => signals.length === 1);
  assert.ok((await made.stop()).clean);
  await started;
  assert.ok(signals[0]?.aborted);
  assert.equal([made.state, made.stats().adapters[0]?.starts], ['stopped', 0]);
});

test('[R-E11] an AbortSignal stops it, before its start too', async () => {
  const abort = new AbortController();
  const made = engine({ ...QUIET, signal: abort.signal });
  await made.start();
  abort.abort();
  assert.is((await made.stopped).reason, 'signal');
  const never = engine({ ...QUIET, signal: abort.signal, adapters: [intake('never').adapter] });
  await never.start();
  assert.is((await never.stopped).reason, 'signal');
  assert.is(never.stats().adapters[0]?.starts, 0);
});

test('[R-E5][R-E11] an error bus that was given outlives the engine; its handlers of the engine do not', async () => {
  const errors = new ErrorBus({ logger: { debug() {}, info() {}, warn() {}, error() {} } });
  const made = engine({ ...QUIET, errors, errorHandlers: [{ name: 'mine', handle: () => undefined }] });
  await made.start();
  assert.is(errors.snapshot().listeners.length, 1);
  await made.stop();
  assert.is(errors.snapshot().listeners.length, 0);
  errors.listen({ name: 'still open', handle: () => undefined });
  await errors.close();
});

test('[R-E9] options are checked, and nothing is started for it', async () => {
  const emitter = { name: 'e', emit: () => undefined };
  const bad: object[] = [
    ...[{ adaptors: [] }, { name: '' }, { stopDeadlineMs: 0 }, { degradedBufferPercent: 0 }],
    ...[{ adapters: [{ name: 'a' }] }, { emitters: [emitter, emitter] }, { internal: { bufferSize: 0 } }],
    ...[{ emitters: [{ emitter, bufersize: 1 }] }, { memoryMonitor: { warningThreshold: 2 } }],
    { gracefulDegradation: { automatic: 3 } },
  ];
  for (const options of bad) {
    assert.is(
      await codeOf(() => engine(options as EngineOptions<unknown, unknown>)),
      'ESPER_OPTION_INVALID',
      JSON.stringify(options),
    );
  }
});

test('[R-E5] [R-E8] without handlers of its own what is WARNING or worse goes to its logger; with none given nothing does', async () => {
  for (const errorHandlers of [undefined, []]) {
    const lines: string[] = [];
    const say = (_: object, message: string): void => void lines.push(message);
    const logger = { debug: say, info: () => undefined, warn: say, error: say };
    const made = engine<number>({
      ...QUIET,
      logger,
      ...(errorHandlers === undefined ? {} : { errorHandlers }),
    });
    await made.start();
    const report = { code: 'EVENT_DROPPED', message: 'gone', component: 'test' };
    made.errors.emit({ ...report, severity: ErrorSeverity.ERROR_SEVERITY_WARNING });
    made.errors.emit({ ...report, code: 'OTHER', severity: ErrorSeverity.ERROR_SEVERITY_INFO });
    await made.stop('done');
    assert.equal(lines, errorHandlers === undefined ? ['test: gone'] : []);
  }
});

test.run();
