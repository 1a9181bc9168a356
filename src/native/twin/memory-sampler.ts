// Sets timers of its own: the native sampler's thread has no other counterpart here.
import { readFileSync } from 'node:fs';
import { clearTimeout, setTimeout } from 'node:timers';
import { getSystemErrorMap } from 'node:util';
import { errorCode } from '../../core/errors.ts';
import type { NativeFlag, NativeTrigger } from '../contract.ts';
import { NativeClosedError } from '../errors.ts';
import type {
  NativeMemoryFault,
  NativeMemoryPlan,
  NativeMemorySample,
  NativeMemorySampler,
  NativeMemorySource,
} from '../memory-contract.ts';

const MAX_SOURCES = 8;
const NS_PER_MS = 1e6;
const NS_PER_SECOND = 1e9;
/** As native/core/memory_sampler.h has it, bytes a second. */
const ASSUMED_RATE = 2 ** 32;
const FLOOR_MS = 1;

type MutableSample = { -readonly [K in keyof NativeMemorySample]: NativeMemorySample[K] };

/** What is known of one source between two samples. */
interface Gauge {
  readonly source: NativeMemorySource;
  usageBytes: number | undefined;
  deductedBytes: number | undefined;
  beforeBytes: number;
}

class ReadingError extends Error {
  readonly fault: NativeMemoryFault;
  readonly errno: number;

  constructor(fault: NativeMemoryFault, errno: number) {
    super(fault);
    this.fault = fault;
    this.errno = errno;
  }
}

/** The memory sampler on a timer of the event loop. Whoever reads it has it sample first, if the timer is late. */
export class TwinMemorySampler implements NativeMemorySampler {
  readonly native = false;
  readonly #nowNs: () => number;
  readonly #sample: MutableSample = emptySample();
  #plan: NativeMemoryPlan;
  #gauges: Gauge[] = [];
  #alarm: { readonly flag: NativeFlag; readonly request: NativeTrigger } | undefined;
  #alarmIsNew = false;
  #crossed = false;
  #belowSinceNs: number | undefined;
  #peakTold = true;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(plan: NativeMemoryPlan, nowNs: () => number = () => Number(process.hrtime.bigint())) {
    this.#nowNs = nowNs;
    this.#plan = plan;
    this.configure(plan);
  }

  configure(plan: NativeMemoryPlan): void {
    this.#requireOpen();
    this.#plan = plan;
    this.#gauges = plan.sources
      .slice(0, MAX_SOURCES)
      .map((source) => ({ source, usageBytes: undefined, deductedBytes: undefined, beforeBytes: 0 }));
    this.#sample.plan += 1;
    Object.assign(this.#sample, { atNs: 0, fault: 'none', faultErrno: 0, faultInDeduction: false });
    this.#peakTold = true;
    this.#tick();
  }

  arm(flag: NativeFlag, request: NativeTrigger): void {
    this.#requireOpen();
    this.#alarm = { flag, request };
    this.#alarmIsNew = true;
    this.#tick();
  }

  disarm(): void {
    this.#alarm = undefined;
  }

  read(): NativeMemorySample | undefined {
    this.#requireOpen();
    if (this.#nowNs() - this.#sample.atNs >= this.#sample.nextNs) this.#tick();
    this.#peakTold = true;
    return { ...this.#sample };
  }

  close(): void {
    this.#closed = true;
    this.disarm();
    clearTimeout(this.#timer);
  }

  #requireOpen(): void {
    if (this.#closed) throw new NativeClosedError('the memory sampler');
  }

  #tick(): void {
    const sample = this.#sample;
    const beginNs = this.#nowNs();
    sample.samples += 1;
    sample.nextNs = this.#measure(beginNs) * NS_PER_MS;
    this.#notePeak(beginNs);
    this.#watchCrossing(beginNs);
    const costNs = this.#nowNs() - beginNs;
    sample.costNs += costNs;
    sample.costMaxNs = Math.max(sample.costMaxNs, costNs);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tick(), sample.nextNs / NS_PER_MS);
    this.#timer.unref();
  }

  /** Returns how long to sleep, milliseconds. */
  #measure(nowNs: number): number {
    const sample = this.#sample;
    const elapsedNs = sample.atNs === 0 ? 0 : nowNs - sample.atNs;
    Object.assign(sample, { atNs: nowNs, usageBytes: 0, limitBytes: 0, deductedBytes: 0 });
    sample.growthBytesPerSecond = 0;
    let sleepMs = this.#plan.intervalMs;
    for (const [index, gauge] of this.#gauges.entries()) {
      this.#readGauge(gauge, index);
      const { limitBytes } = gauge.source;
      if (gauge.usageBytes === undefined || !(limitBytes > 0)) continue;
      const grown = elapsedNs > 0 ? Math.max(0, gauge.usageBytes - gauge.beforeBytes) : 0;
      const rate = elapsedNs > 0 ? (grown * NS_PER_SECOND) / elapsedNs : 0;
      gauge.beforeBytes = gauge.usageBytes;
      const headroom = Math.max(0, this.#plan.criticalThreshold * limitBytes - gauge.usageBytes);
      sleepMs = Math.min(sleepMs, nextSampleMs(headroom, rate, this.#plan));
      if (gauge.usageBytes / limitBytes <= share(sample.usageBytes, sample.limitBytes)) continue;
      Object.assign(sample, { source: index, usageBytes: gauge.usageBytes, limitBytes });
      Object.assign(sample, { deductedBytes: gauge.deductedBytes ?? 0, growthBytesPerSecond: rate });
    }
    return sleepMs;
  }

  #readGauge(gauge: Gauge, index: number): void {
    const { source } = gauge;
    let usedBytes: number | undefined;
    try {
      const text = load(source.usagePath);
      usedBytes = findNumber(text, source.usageKey, source.usageField) * source.unitBytes;
      if (source.deductKey !== '') {
        const other = source.deductPath === '' ? text : load(source.deductPath);
        gauge.deductedBytes = findNumber(other, source.deductKey, 0) * source.unitBytes;
      }
    } catch (error) {
      const { fault, errno } = error instanceof ReadingError ? error : { fault: 'read' as const, errno: 0 };
      this.#sample.faults += 1;
      Object.assign(this.#sample, { fault, faultErrno: errno, faultSource: index });
      this.#sample.faultInDeduction = usedBytes !== undefined;
    }
    // Without a deduction, page cache would pass for use: no value is better than an alarm that is none.
    if (usedBytes === undefined || (source.deductKey !== '' && gauge.deductedBytes === undefined)) return;
    gauge.usageBytes = Math.max(0, usedBytes - (gauge.deductedBytes ?? 0));
  }

  #notePeak(nowNs: number): void {
    const { usageBytes, limitBytes, peakUsageBytes, peakLimitBytes } = this.#sample;
    if (!this.#peakTold && share(usageBytes, limitBytes) <= share(peakUsageBytes, peakLimitBytes)) return;
    this.#peakTold = false;
    Object.assign(this.#sample, {
      peakUsageBytes: usageBytes,
      peakLimitBytes: limitBytes,
      peakAtNs: nowNs,
    });
  }

  #watchCrossing(nowNs: number): void {
    const sample = this.#sample;
    const { criticalThreshold, margin, dwellMs } = this.#plan;
    const full = share(sample.usageBytes, sample.limitBytes);
    if (this.#crossed && full < criticalThreshold - margin) {
      this.#belowSinceNs ??= nowNs;
      if (nowNs - this.#belowSinceNs >= dwellMs * NS_PER_MS) this.#crossed = false;
    } else {
      this.#belowSinceNs = undefined;
    }
    const over = sample.limitBytes > 0 && full >= criticalThreshold;
    const begins = over && !this.#crossed;
    if (begins) {
      this.#crossed = true;
      sample.crossings += 1;
    }
    if (!over || (!begins && !this.#alarmIsNew)) return;
    this.#alarmIsNew = false;
    if (this.#alarm !== undefined) this.#raise(this.#alarm.flag, this.#alarm.request);
  }

  #raise(flag: NativeFlag, request: NativeTrigger): void {
    const { usageBytes, limitBytes, source } = this.#sample;
    const percent = Math.floor(Math.min(9999, share(usageBytes, limitBytes) * 1000)) / 10;
    const label = this.#plan.sources[source]?.label ?? '';
    const numbers = `${percent.toFixed(1)} % of ${limitBytes} bytes used (${label})`;
    flag.trigger({ ...request, reason: `${request.reason ?? ''}: ${numbers}` });
    this.#sample.raises += 1;
    this.#sample.raisedAtNs = this.#nowNs();
  }
}

function share(usageBytes: number, limitBytes: number): number {
  return limitBytes > 0 ? usageBytes / limitBytes : 0;
}

/** The pace of native/core/memory_sampler.cc. */
function nextSampleMs(headroom: number, rate: number, plan: NativeMemoryPlan): number {
  const nearMs = Math.min(plan.nearIntervalMs, plan.intervalMs);
  if (headroom <= 0) return nearMs;
  const assumedMs = Math.min(plan.intervalMs, Math.max(nearMs, (headroom / ASSUMED_RATE) * 1000));
  if (rate <= 0) return assumedMs;
  return Math.min(assumedMs, Math.max(FLOOR_MS, ((headroom / rate) * 1000) / 2));
}

function load(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    const code = errorCode(error);
    const opened = code === 'EISDIR' || code === 'ENODEV' || code === 'EIO';
    throw new ReadingError(opened ? 'read' : 'open', errnoOf(code));
  }
}

function errnoOf(code: string | undefined): number {
  for (const [number, [name]] of getSystemErrorMap()) if (name === code) return -number;
  return 0;
}

/** As find_number of native/core/memory_gauge.cc: the number must be whole, with something behind it. */
function findNumber(text: string, key: string, field: number): number {
  const line =
    key === ''
      ? text
      : text.split('\n').find((one) => one.startsWith(`${key} `) || one.startsWith(`${key}\t`));
  if (line !== undefined) {
    const isLast = key !== '' && text.endsWith(line);
    const rest = key === '' ? text : `${line.slice(key.length)}${isLast ? '' : '\n'}`;
    const numbers =
      /^(?:[ \t]*\d+(?=[ \t\n]))+/
        .exec(rest)?.[0]
        .trim()
        .split(/[ \t]+/) ?? [];
    const found = numbers[field];
    if (found !== undefined && Number.isSafeInteger(Number(found))) return Number(found);
  }
  throw new ReadingError('format', 0);
}

function emptySample(): MutableSample {
  return {
    ...{ atNs: 0, source: 0, usageBytes: 0, limitBytes: 0, deductedBytes: 0, growthBytesPerSecond: 0 },
    ...{ peakUsageBytes: 0, peakLimitBytes: 0, peakAtNs: 0, plan: 0, samples: 0, faults: 0 },
    ...{ fault: 'none', faultSource: 0, faultErrno: 0, faultInDeduction: false },
    ...{ crossings: 0, raises: 0, raisedAtNs: 0, costNs: 0, costMaxNs: 0, nextNs: 0 },
  };
}
