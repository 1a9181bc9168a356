import { createHistogram } from 'node:perf_hooks';
import { loadNative } from '../../src/native/load.ts';
import { DEFAULT_BUCKETS_SECONDS, openLatencyHistogram } from '../../src/signals/index.ts';
import type { Cleanup } from './cleanup.ts';
import type { HdrBuildRequest, HdrLibrary } from './hdr-peer.ts';
import { VALUES_MASK } from './histogram-values.ts';
import type { MicroCase } from './micro.ts';
import { loadPeer } from './peers.ts';

// Every case has a loop of its own, written out: one loop that is handed a function could inline none of them, and
// each would be charged for the others.

/** What every histogram is asked for: our range, and the digits that make its buckets as wide as ours. */
const LOWEST = 1;
const HIGHEST = 2 ** 42 - 1;
const DIGITS = 2;

interface NativeHdrHistogram {
  record(value: number): boolean;
}
type NativeHdr = new (lowest: number, highest: number, digits: number) => NativeHdrHistogram;

interface PromClient {
  readonly Registry: new () => object;
  readonly Histogram: new (options: {
    name: string;
    help: string;
    buckets: readonly number[];
    registers: readonly object[];
  }) => { observe(value: number): void };
}

/** A case, or the row that says why there is none. */
export type PeerCase = MicroCase | { readonly id: string; readonly title: string; readonly missing: string };

/** Ours: from JavaScript, and through a call into the addon. */
export function ownCases(name: string, values: Float64Array, cleanup: Cleanup): MicroCase[] {
  const ours = openLatencyHistogram(name);
  if (ours.kind !== 'shared') throw new Error(`the histogram is not shared: ${ours.degraded?.reason}`);
  const native = loadNative().module.openHistogram({
    name,
    kind: 'shared',
    attachTimeoutMs: 1000,
    allowGroup: false,
    stripes: 1,
  });
  cleanup.add(() => {
    native.close();
    ours.unlink();
    ours.close();
  });
  let [at, atNative] = [0, 0];
  return [
    {
      id: 'record',
      title: 'LatencyHistogram.record(), shared memory',
      body: (times) => {
        let next = at;
        for (let i = 0; i < times; i++) {
          ours.record(values[next] as number);
          next = (next + 1) & VALUES_MASK;
        }
        at = next;
        return next;
      },
    },
    {
      id: 'record_by_call',
      title: 'the same by a call into the addon',
      body: (times) => {
        let next = atNative;
        for (let i = 0; i < times; i++) {
          native.record(values[next] as number);
          next = (next + 1) & VALUES_MASK;
        }
        atNative = next;
        return next;
      },
    },
  ];
}

function perfHooksCase(values: Float64Array): MicroCase {
  const histogram = createHistogram({ lowest: LOWEST, highest: HIGHEST, figures: DIGITS });
  let at = 0;
  return {
    id: 'perf_hooks',
    title: 'perf_hooks createHistogram()',
    body: (times) => {
      let next = at;
      for (let i = 0; i < times; i++) {
        histogram.record(values[next] as number);
        next = (next + 1) & VALUES_MASK;
      }
      at = next;
      return next + histogram.count;
    },
  };
}

const HDR_JS = { id: 'hdr_js', title: 'hdr-histogram-js, JavaScript' };
const HDR_WASM = { id: 'hdr_wasm', title: 'hdr-histogram-js, WebAssembly' };

function hdrCases(values: Float64Array): PeerCase[] {
  const peer = loadPeer<HdrLibrary>('hdr-histogram-js');
  const { missing } = peer;
  if (missing !== undefined) return [HDR_JS, HDR_WASM].map((row) => ({ ...row, missing }));
  const request: HdrBuildRequest = {
    lowestDiscernibleValue: LOWEST,
    highestTrackableValue: HIGHEST,
    numberOfSignificantValueDigits: DIGITS,
  };
  const inJs = peer.module.build(request);
  const inWasm = peer.module.build({ ...request, useWebAssembly: true });
  let [atJs, atWasm] = [0, 0];
  return [
    {
      ...HDR_JS,
      body: (times) => {
        let next = atJs;
        for (let i = 0; i < times; i++) {
          inJs.recordValue(values[next] as number);
          next = (next + 1) & VALUES_MASK;
        }
        atJs = next;
        return next + inJs.totalCount;
      },
    },
    {
      ...HDR_WASM,
      body: (times) => {
        let next = atWasm;
        for (let i = 0; i < times; i++) {
          inWasm.recordValue(values[next] as number);
          next = (next + 1) & VALUES_MASK;
        }
        atWasm = next;
        return next + inWasm.totalCount;
      },
    },
  ];
}

function nativeHdrCase(values: Float64Array): PeerCase {
  const row = { id: 'native_hdr', title: 'native-hdr-histogram' };
  const peer = loadPeer<NativeHdr>('native-hdr-histogram');
  if (peer.missing !== undefined) return { ...row, missing: peer.missing };
  const histogram = new peer.module(LOWEST, HIGHEST, DIGITS);
  let at = 0;
  return {
    ...row,
    body: (times) => {
      let next = at;
      let recorded = 0;
      for (let i = 0; i < times; i++) {
        if (histogram.record(values[next] as number)) recorded += 1;
        next = (next + 1) & VALUES_MASK;
      }
      at = next;
      return recorded;
    },
  };
}

/** Seconds, as its users give them, and as many buckets as our own export makes. */
function promClientCase(values: Float64Array): PeerCase {
  const row = { id: 'prom_client', title: `prom-client, ${DEFAULT_BUCKETS_SECONDS.length} buckets` };
  const peer = loadPeer<PromClient>('prom-client');
  if (peer.missing !== undefined) return { ...row, missing: peer.missing };
  const { Histogram, Registry } = peer.module;
  const options = { name: 'bench_seconds', help: 'Benchmark.', buckets: DEFAULT_BUCKETS_SECONDS };
  const histogram = new Histogram({ ...options, registers: [new Registry()] });
  const seconds = values.map((ns) => ns / 1e9);
  let at = 0;
  return {
    ...row,
    body: (times) => {
      let next = at;
      for (let i = 0; i < times; i++) {
        histogram.observe(seconds[next] as number);
        next = (next + 1) & VALUES_MASK;
      }
      at = next;
      return next;
    },
  };
}

/** The others, in this process: none of them shares memory. WebAssembly must be initialised before. */
export function peerCases(values: Float64Array): PeerCase[] {
  return [perfHooksCase(values), ...hdrCases(values), nativeHdrCase(values), promClientCase(values)];
}
