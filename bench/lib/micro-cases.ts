import { createHistogram } from 'node:perf_hooks';
import { EmergencyLevel } from '../../src/leyline/messages.ts';
import { loadNative } from '../../src/native/load.ts';
import { openEmergencySignal, openLatencyHistogram } from '../../src/signals/index.ts';
import type { Cleanup } from './cleanup.ts';
import type { MicroCase } from './micro.ts';

/** Index of the half of the control word that holds the level, see docs/shm-format.md. */
const LEVEL_WORD = 1;
const INPUTS = 1024;

/** isSet() of a shared flag that is raised, beside the bare load it must come down to and the call it avoids. */
export function flagCases(segment: string, cleanup: Cleanup): MicroCase[] {
  const signal = openEmergencySignal(segment);
  const { module } = loadNative();
  const flag = module.openFlag({
    segment: 'emergency',
    name: segment,
    kind: signal.kind,
    attachTimeoutMs: 1000,
    allowGroup: false,
  });
  cleanup.add(() => {
    flag.close();
    signal.unlink();
    signal.close();
  });
  signal.trigger(EmergencyLevel.EMERGENCY_LEVEL_NOTICE, { reason: 'benchmark' });
  const words = new Int32Array(flag.control);
  return [
    {
      id: 'is_set',
      title: 'signal.isSet()',
      body: (times) => {
        let set = 0;
        for (let i = 0; i < times; i++) if (signal.isSet()) set += 1;
        return set;
      },
    },
    {
      id: 'atomics_load',
      title: 'Atomics.load(Int32Array)',
      body: (times) => {
        let set = 0;
        for (let i = 0; i < times; i++) if (Atomics.load(words, LEVEL_WORD) !== 0) set += 1;
        return set;
      },
    },
    {
      id: 'napi_call',
      title: 'node-addon-api call, same boolean',
      body: (times) => {
        let set = 0;
        for (let i = 0; i < times; i++) if (module.isSetCall(flag)) set += 1;
        return set;
      },
    },
  ];
}

/** Latencies as a run would see them: 1 µs to 10 ms, spread evenly over the powers of ten. */
function latenciesNs(): Float64Array {
  return Float64Array.from({ length: INPUTS }, (_, i) =>
    Math.round(10 ** (3 + (4 * ((i * 389) % INPUTS)) / INPUTS)),
  );
}

/** A record of our histogram beside Node's own, which is a native call. */
export function histogramCases(segment: string, cleanup: Cleanup): MicroCase[] {
  const ours = openLatencyHistogram(segment);
  cleanup.add(() => {
    ours.unlink();
    ours.close();
  });
  const nodes = createHistogram();
  const values = latenciesNs();
  return [
    {
      id: 'histogram_record',
      title: 'LatencyHistogram.record()',
      body: (times) => {
        for (let i = 0; i < times; i++) ours.record(values[i % INPUTS] ?? 0);
        return times;
      },
    },
    {
      id: 'perf_hooks_record',
      title: 'perf_hooks histogram.record()',
      body: (times) => {
        for (let i = 0; i < times; i++) nodes.record(values[i % INPUTS] ?? 1);
        return nodes.count;
      },
    },
  ];
}
