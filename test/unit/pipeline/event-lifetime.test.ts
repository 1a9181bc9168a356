import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { suite } from 'uvu';
import { engine } from '../../../src/pipeline/index.ts';
import { gate, intake } from '../../helpers/pipeline.ts';
import { until } from '../../helpers/until.ts';

const test = suite('lifetime of events');

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

for (const how of ['publish', 'deliver'] as const) {
  test(`[R-E11] ${how}(): what was handed in is garbage once it was transformed, though its delivery goes on`, async () => {
    const source = intake<object>();
    const emitting = gate<string>();
    const pipeline = engine<object, string>({
      adapters: [source.adapter],
      transforms: [() => 'small'],
      emitters: [{ name: 'out', emit: emitting.handler }],
      memoryMonitor: false,
    });
    await pipeline.start();
    const handIn = (): { readonly ref: WeakRef<object>; readonly done: Promise<void> } => {
      const event = { large: true };
      return { ref: new WeakRef(event), done: source.context[how](event) };
    };
    const { ref, done } = handIn();
    await until('the emitter', () => emitting.begun.length === 1);
    await until('the event to be garbage', async () => {
      await turn();
      collect();
      return ref.deref() === undefined;
    });
    emitting.release();
    await done;
    await pipeline.stop();
  });
}

test.run();
