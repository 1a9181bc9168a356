// One writer of bench/histogram.ts: records blocks of values on command and tells the CPU time of each.
import { openLatencyHistogram } from '../../src/signals/index.ts';
import { latenciesNs, VALUES_MASK } from '../lib/histogram-values.ts';

export type WriterCommand = { readonly type: 'record'; readonly count: number };
export type WriterReply =
  | { readonly type: 'ready' }
  | { readonly type: 'recorded'; readonly cpuNsPerRecord: number; readonly sink: number };

const [name = ''] = process.argv.slice(2);
const histogram = openLatencyHistogram(name);
if (histogram.kind !== 'shared')
  throw new Error(`the histogram is not shared: ${histogram.degraded?.reason}`);
const values = latenciesNs();

function record(count: number): number {
  let at = 0;
  for (let i = 0; i < count; i++) {
    histogram.record(values[at] as number);
    at = (at + 1) & VALUES_MASK;
  }
  return at;
}

const reply = (message: WriterReply): void => void process.send?.(message);

process.on('disconnect', () => {
  histogram.close();
  process.exit(0);
});
process.on('message', ({ count }: WriterCommand) => {
  const before = process.cpuUsage();
  const sink = record(count);
  const { user, system } = process.cpuUsage(before);
  reply({ type: 'recorded', cpuNsPerRecord: ((user + system) * 1000) / count, sink });
});
reply({ type: 'ready' });
