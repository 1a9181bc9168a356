import { readFileSync } from 'node:fs';
import { systemClock } from '../../core/clock.ts';
import type { NativeParticipant } from '../contract.ts';
import { cutUtf8, wellFormed } from '../strings.ts';

const SLOT_COUNT = 128;
const ROLE_BYTES = 32;
const NAME_BYTES = 64;
const PULSE_BYTES = 32;
const PHASE_MASK = 0xff;
const SUSPENDED = 0x100;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Pulsed = 'heartbeatNs' | 'phase' | 'suspended' | 'limitMs' | 'staleForMs';
/** What is not in the pulse, which the participant writes by itself. */
type Member = Mutable<Omit<NativeParticipant, Pulsed>> & { readonly pulse: ArrayBuffer };

function pulseOf(pulse: ArrayBuffer): Pick<NativeParticipant, Pulsed> {
  const words = new Int32Array(pulse);
  const heartbeatNs = new BigUint64Array(pulse)[0] ?? 0n;
  const [phase = 0, limitMs = 0] = [words[2], words[7]];
  const silentMs = Number(systemClock.monotonicNs() - heartbeatNs) / 1e6;
  return {
    heartbeatNs,
    phase: phase & PHASE_MASK,
    suspended: (phase & SUSPENDED) !== 0,
    limitMs,
    staleForMs: limitMs === 0 ? 0 : Math.max(0, silentMs - limitMs),
  };
}

/** True when generation `a` is `b` or a later one, modulo 2^32. */
function reached(a: number, b: number): boolean {
  return ((a - b) | 0) >= 0;
}

/** Field 22 of /proc/self/stat, counted from the last ')' because the command name may hold anything. */
function ownStartTimeTicks(): bigint {
  try {
    const stat = readFileSync('/proc/self/stat', 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return BigInt(fields[19] ?? '0');
  } catch {
    return 0n;
  }
}

/** Participant slots of one twin segment. All participants are flag objects of this process, so all are alive. */
export class TwinParticipants {
  readonly #slots: (Member | undefined)[] = new Array(SLOT_COUNT).fill(undefined);

  /** Takes the first free slot; -1 when there is none. */
  join(role: string, name: string, nowNs: bigint): number {
    const slot = this.#slots.indexOf(undefined);
    if (slot === -1) return -1;
    const pulse = new ArrayBuffer(PULSE_BYTES);
    new BigUint64Array(pulse)[0] = nowNs;
    this.#slots[slot] = {
      slot,
      pid: process.pid,
      startTimeTicks: ownStartTimeTicks(),
      role: cutUtf8(wellFormed(role), ROLE_BYTES),
      name: cutUtf8(wellFormed(name), NAME_BYTES),
      alive: true,
      pulse,
      seenGeneration: 0,
      acknowledgedGeneration: 0,
    };
    return slot;
  }

  rename(slot: number, role: string, name: string): void {
    const participant = this.#slots[slot];
    if (participant === undefined) return;
    participant.role = cutUtf8(wellFormed(role), ROLE_BYTES);
    participant.name = cutUtf8(wellFormed(name), NAME_BYTES);
  }

  leave(slot: number): void {
    this.#slots[slot] = undefined;
  }

  pulse(slot: number): ArrayBuffer | undefined {
    return this.#slots[slot]?.pulse;
  }

  markSeen(slot: number, generation: number): void {
    const participant = this.#slots[slot];
    if (participant === undefined || reached(participant.seenGeneration, generation)) return;
    participant.seenGeneration = generation >>> 0;
  }

  /** Acknowledging implies having seen. */
  acknowledge(slot: number, generation: number): void {
    this.markSeen(slot, generation);
    const participant = this.#slots[slot];
    if (participant === undefined || reached(participant.acknowledgedGeneration, generation)) return;
    participant.acknowledgedGeneration = generation >>> 0;
  }

  /** `role:name pid` of everybody but `own` who has not seen the generation. */
  waitingFor(generation: number, own: number): string[] {
    const late = this.#slots.filter(
      (p) => p !== undefined && p.slot !== own && !reached(p.seenGeneration, generation),
    );
    return late.map((p) => `${p?.role}:${p?.name} ${p?.pid}`);
  }

  list(): NativeParticipant[] {
    return this.#slots.flatMap((member) => {
      if (member === undefined) return [];
      const { pulse, ...rest } = member;
      return [Object.freeze({ ...rest, ...pulseOf(pulse) })];
    });
  }
}
