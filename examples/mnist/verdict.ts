import { EmergencyLevel } from '../../src/leyline/messages.ts';
import type { Board } from './board.ts';
import type { EventOf } from './events.ts';
import type { Host } from './stage.ts';

/** What the training must reach on digits that it never saw. */
export const REQUIRED_ACCURACY = 0.92;
/** An explosion, and not just a bad batch: this many times the loss before the fault. */
const REQUIRED_EXPLOSION = 15;

/** What one host's processes reported, by what it means for the demo. */
export interface HostFacts {
  readonly host: Host;
  readonly ready: EventOf<'trainerReady'> | undefined;
  readonly fault: EventOf<'fault'> | undefined;
  readonly rollbacks: readonly EventOf<'rolledBack'>[];
  readonly raised: EventOf<'flagRaised'> | undefined;
  readonly raiseDetected: EventOf<'detected'> | undefined;
  readonly raiseBridged: EventOf<'bridged'> | undefined;
  readonly cleared: EventOf<'flagCleared'> | undefined;
  readonly target: EventOf<'target'> | undefined;
  readonly haltDetected: EventOf<'detected'> | undefined;
  readonly haltBridged: EventOf<'bridged'> | undefined;
  readonly halted: EventOf<'halted'> | undefined;
  readonly haltAcknowledged: EventOf<'haltAcknowledged'> | undefined;
  readonly finished: EventOf<'finished'> | undefined;
}

export type Halt = EventOf<'operatorRaised'> | undefined;

export function gatherFacts(board: Board, host: Host, halt: Halt): HostFacts {
  const { trainer, weatherlight } = host;
  const { EMERGENCY_LEVEL_CONSERVATIVE } = EmergencyLevel;
  const raised = board.first('flagRaised', trainer, ({ level }) => level === EMERGENCY_LEVEL_CONSERVATIVE);
  const detected = (id: string | undefined) =>
    board.first('detected', weatherlight, ({ emergency }) => emergency.signalId === id);
  const bridged = (id: string | undefined) =>
    board.first('bridged', weatherlight, ({ signalId }) => signalId === id);
  return {
    host,
    ready: board.first('trainerReady', trainer),
    fault: board.first('fault', trainer),
    rollbacks: board.all('rolledBack', trainer),
    raised,
    raiseDetected: detected(raised?.signalId),
    raiseBridged: bridged(raised?.signalId),
    cleared: board.first('flagCleared', trainer, (event) => event.clearedSignalId === raised?.signalId),
    target: board.first('target', trainer),
    haltDetected: detected(halt?.signalId),
    haltBridged: bridged(halt?.signalId),
    halted: board.first('halted', trainer, ({ signalId }) => signalId === halt?.signalId),
    haltAcknowledged: board.first(
      'haltAcknowledged',
      weatherlight,
      ({ signalId }) => signalId === halt?.signalId,
    ),
    finished: board.first('finished', trainer),
  };
}

export interface Check {
  readonly what: string;
  readonly ok: boolean;
}

/** Each promise of the demo, held or not. `main` is the host where the fault and the HALT were raised. */
export function checkPromises(main: HostFacts, others: readonly HostFacts[]): Check[] {
  const promises: [what: string, ok: boolean][] = [
    ['the flag is in shared memory', main.ready?.signalKind === 'shared'],
    [`the fault made the loss explode, ${REQUIRED_EXPLOSION} × and more`, exploded(main)],
    ['the guard raised CONSERVATIVE', main.raised?.remote === false],
    ['Weatherlight, another process, saw it in shared memory', main.raiseDetected?.path === 'shared-memory'],
    ['the guard rolled back, and the weights are the snapshot to the bit', hashesMatch(main)],
    ['the guard lowered its own flag once the training was well', main.cleared !== undefined],
    ["the operator's HALT stopped the trainer", main.halted !== undefined],
    ['the trainer acknowledged, and Weatherlight saw it', acknowledged(main)],
    [`held-out accuracy is at least ${REQUIRED_ACCURACY}`, isGood(main)],
  ];
  for (const other of others) {
    const { trainer, weatherlight } = other.host;
    const sameRaise = other.raised?.signalId === main.raised?.signalId;
    promises.push(
      [
        `${trainer} got the raise over the bus, under the same id`,
        other.raised?.remote === true && sameRaise,
      ],
      [`${trainer} got the clear over the bus`, other.cleared?.remote === true],
      [`the HALT stopped ${trainer} too`, other.halted !== undefined],
      [`${trainer} acknowledged, and ${weatherlight} saw it`, acknowledged(other)],
      [`${trainer} is good as well`, isGood(other)],
    );
  }
  return promises.map(([what, ok]) => ({ what, ok }));
}

function exploded({ fault, rollbacks }: HostFacts): boolean {
  const before = fault?.loss ?? Number.POSITIVE_INFINITY;
  return rollbacks.some(({ loss }) => !Number.isFinite(loss) || loss >= before * REQUIRED_EXPLOSION);
}

function isGood({ finished }: HostFacts): boolean {
  return (finished?.testAccuracy ?? 0) >= REQUIRED_ACCURACY;
}

export function hashesMatch({ rollbacks }: HostFacts): boolean {
  return rollbacks.length > 0 && rollbacks.every((one) => one.snapshotHash === one.restoredHash);
}

/** The trainer itself answered: nobody was merely 'gone'. */
export function acknowledged({ halted, haltAcknowledged, ready }: HostFacts): boolean {
  const answers = haltAcknowledged?.participants ?? [];
  const answered = answers.some(({ pid, outcome }) => pid === ready?.pid && outcome === 'acknowledged');
  return halted?.acknowledged === true && answered;
}
