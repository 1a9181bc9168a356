import { EmergencyLevel } from '../../src/leyline/messages.ts';
import type { Said } from './board.ts';
import type { DemoEvent, EventOf } from './events.ts';
import { bar, formatLatency, formatLoss, formatRate, paint, print } from './terminal.ts';

type Colour = 'red' | 'yellow' | 'green' | 'cyan' | 'magenta' | 'dim';

/** One line of the story: who, with a mark before it and what after it. */
interface Line {
  readonly colour: Colour;
  readonly mark: string;
  readonly text: string;
}

/** As wide as the longest name of a process, 'weatherlight A'. */
const WHO_WIDTH = 14;
const BAR_CELLS = 24;
/** Where the accuracy bar begins: the interesting part is near its end. */
const BAR_FROM = 0.7;

/** Reports wait this long for one of another process that happened before them, milliseconds. */
const SORTING_MS = 100;

export interface Narrator {
  hear(said: Said): void;
  /** Prints what still waits. */
  flush(): void;
}

/**
 * Prints what the processes report, in the order in which it happened. They come through pipes of their own: printed
 * as they arrive, an effect would often stand above its cause.
 */
export function createNarrator(): Narrator {
  let waiting: Said[] = [];
  const flush = (): void => {
    waiting.sort((one, other) => one.event.monotonicMs - other.event.monotonicMs);
    for (const { who, event } of waiting) printLine(who, describe(event));
    waiting = [];
  };
  return {
    hear: (said) => {
      if (waiting.length === 0) setTimeout(flush, SORTING_MS);
      waiting.push(said);
    },
    flush,
  };
}

function printLine(who: string, line: Line | undefined): void {
  if (line === undefined) return;
  print(`  ${paint(line.colour, line.mark)} ${paint(line.colour, who.padEnd(WHO_WIDTH))}  ${line.text}`);
}

/** 'EMERGENCY_LEVEL_HALT' without what every level has in common. */
function levelName(level: number): string {
  return (EmergencyLevel[level] ?? `level ${level}`).replace('EMERGENCY_LEVEL_', '');
}

/** The line for an event; undefined for one that is no news to people. */
function describe(event: DemoEvent): Line | undefined {
  switch (event.type) {
    case 'started':
      return { colour: 'cyan', mark: '●', text: `watches the flag '${event.signalName}' in shared memory` };
    case 'trainerReady':
      return { colour: 'green', mark: '●', text: describeTraining(event) };
    case 'progress':
      return { colour: 'dim', mark: '·', text: describeProgress(event) };
    case 'fault':
      return { colour: 'red', mark: '✗', text: describeFault(event) };
    case 'anomaly':
      return { colour: 'yellow', mark: '⚑', text: describeAnomaly(event) };
    case 'detected':
      return { colour: 'cyan', mark: '◉', text: describeDetection(event) };
    case 'rolledBack':
      return { colour: 'yellow', mark: '↩', text: describeRollback(event) };
    case 'flagCleared':
      return { colour: 'green', mark: '⚐', text: describeClear(event) };
    case 'bridged': {
      const text = `raises ${levelName(event.level)} on its own host, as the other host did`;
      return { colour: 'cyan', mark: '⇄', text };
    }
    case 'target':
      return { colour: 'green', mark: '✓', text: `target of ${event.step} steps reached; trains on` };
    case 'operatorRaised':
      return {
        colour: 'magenta',
        mark: '⚑',
        text: `raises HALT (a third process, pid ${event.pid}) and is gone`,
      };
    case 'halted':
      return { colour: 'yellow', mark: '■', text: `stops at step ${event.step} and acknowledges` };
    case 'haltAcknowledged':
      return { colour: 'cyan', mark: '✓', text: 'has the acknowledgement of every trainer of its host' };
    case 'error':
      return { colour: 'red', mark: '!', text: `${event.code} in ${event.where}: ${event.message}` };
    default:
      return undefined;
  }
}

function describeTraining({
  pid,
  parameters,
  trainDigits,
  heldOutDigits,
  backend,
}: EventOf<'trainerReady'>): string {
  const count = (value: number): string => value.toLocaleString('en');
  const digits = `${count(trainDigits)} MNIST digits (${count(heldOutDigits)} held out)`;
  return `pid ${pid} trains ${count(parameters)} weights on ${digits}, ${backend}`;
}

function describeProgress({ step, loss, learningRate, accuracy }: EventOf<'progress'>): string {
  const filled = (accuracy - BAR_FROM) / (1 - BAR_FROM);
  return [
    `step ${String(step).padStart(4)}`,
    `loss ${formatLoss(loss).padStart(6)}`,
    `rate ${formatRate(learningRate).padEnd(5)}`,
    `${paint('green', bar(filled, BAR_CELLS))} ${(accuracy * 100).toFixed(1)} %`,
  ].join('   ');
}

function describeFault({ step, from, to }: EventOf<'fault'>): string {
  return `step ${step}: a fault multiplies the learning rate, ${formatRate(from)} → ${formatRate(to)}`;
}

function describeAnomaly({ step, kind, of, value, baseline, level }: EventOf<'anomaly'>): string {
  const usual = baseline === undefined ? '' : ` (usually ${formatLoss(baseline)})`;
  return `step ${step}: ${kind}, ${of} ${formatLoss(value)}${usual}; the guard raises ${levelName(level)}`;
}

function describeDetection({ emergency, path, latencyMs }: EventOf<'detected'>): string {
  const way = path === 'stream' ? 'on the bus' : 'in shared memory';
  const latency = latencyMs === undefined ? '' : `, ${formatLatency(latencyMs)} after it was raised`;
  return `sees ${levelName(emergency.level)} ${way}${latency}`;
}

function describeRollback({
  toStep,
  restoreMs,
  snapshotHash,
  restoredHash,
  learningRate,
}: EventOf<'rolledBack'>) {
  const same = snapshotHash === restoredHash ? 'the same bits' : 'NOT the same bits';
  const restored = `weights of step ${toStep} are back in ${formatLatency(restoreMs)}, ${same}`;
  return `${restored} (SHA-256 ${restoredHash.slice(0, 8)}…); rate halved to ${formatRate(learningRate)}`;
}

function describeClear({ remote, reason }: EventOf<'flagCleared'>): string {
  return remote
    ? 'sees the flag of its host lowered, as on the other host'
    : `${reason}; the guard lowers the flag`;
}
