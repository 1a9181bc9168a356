import { systemClock } from '../core/clock.ts';
import { OptionError } from '../core/errors.ts';
import type { NativeTrigger } from '../native/contract.ts';
import { TEXT_BOUNDS, utf8SizeBytes, wellFormed } from '../native/strings.ts';
import { RollbackPendingError, requireInteger, requireStep, requireText, requireUint32 } from './errors.ts';
import { FlagHandle } from './flag-handle.ts';
import { FlagParticipation } from './participation.ts';
import { toRollbackRecord } from './records.ts';
import type {
  Degraded,
  OpenSignalOptions,
  RollbackRecord,
  RollbackRequestFields,
  RollbackSignal,
  RollbackState,
} from './types.ts';

const IDLE = 0;
const REQUESTED = 1;
const EXPIRED = 2;
const MAX_DEADLINE_MS = 3_600_000;
const NS_PER_MS = 1_000_000;
/** A clear that loses this often against other processes gives up: each loss means that somebody else acted. */
const CLEAR_ATTEMPTS = 8;

interface Pending {
  readonly requestId: string;
  readonly generation: number;
  readonly deadline: number;
}

/**
 * Opens the rollback flag of that name: a request with a deadline that a native timer enforces although the event loop
 * is blocked. Throws and falls back like `openEmergencySignal`; its gauge is `tolaria.rollback.shared_signal_degraded`.
 * In the TypeScript twin the deadline cannot pass a blocked loop, but `settle` never calls a late restore timely.
 */
export function openRollbackSignal(name: string, options?: OpenSignalOptions): RollbackSignal {
  return new FlagRollbackSignal(new FlagHandle('rollback', name, options));
}

class FlagRollbackSignal extends FlagParticipation implements RollbackSignal {
  readonly kind: 'shared' | 'process-local';
  readonly degraded: Degraded | undefined;
  readonly name: string;
  readonly #handle: FlagHandle;
  #pendingRequest: Pending | undefined;

  constructor(handle: FlagHandle) {
    super(handle);
    this.#handle = handle;
    this.kind = handle.kind;
    this.degraded = handle.degraded;
    this.name = handle.name;
  }

  get path(): string {
    return this.#handle.path;
  }

  get #pending(): Pending | undefined {
    return this.#pendingRequest;
  }

  /** The deadline is armed in the memory that the request was written to: neither may change before it is settled. */
  set #pending(pending: Pending | undefined) {
    this.#pendingRequest = pending;
    this.#handle.pinned = pending !== undefined;
  }

  isSet(): boolean {
    return this.#handle.level() !== IDLE;
  }

  read(): RollbackState {
    const { generation, level } = this.#handle.flag.read();
    if (level === IDLE) return { generation, phase: 'idle' };
    return { generation, phase: level === REQUESTED ? 'requested' : 'expired' };
  }

  history(): RollbackRecord[] {
    return this.#handle.flag.history().map(toRollbackRecord);
  }

  /**
   * Throws OptionError on a bad field and RollbackPendingError while a request of this object is neither settled nor
   * expired. What an earlier or dead requester left set is lowered first, recorded as superseded.
   */
  request(fields: RollbackRequestFields): void {
    const request = toTrigger(fields);
    // The getter refuses a closed signal before anything is touched.
    void this.#handle.flag;
    this.#dropEndedRequest();
    this.#handle.followName();
    const flag = this.#handle.flag;
    if (flag.read().level !== IDLE) this.#lower(`superseded by ${request.subject}`, request.origin);
    const { generation } = flag.trigger(request);
    const deadline = flag.armDeadline(request.deadlineNs, { ...request, level: EXPIRED });
    this.#pending = { requestId: request.subject, generation, deadline };
  }

  settle(requestId: string): boolean {
    const flag = this.#handle.flag;
    const pending = this.#pending;
    if (pending === undefined || pending.requestId !== wellFormed(requestId)) return false;
    this.#pending = undefined;
    if (!flag.disarm(pending.deadline)) return false;
    const { generation } = flag.read();
    // A later generation means that somebody cleared or superseded the request: the flag is no longer ours to lower.
    if (generation === pending.generation) this.#clearSeen(generation, REQUESTED, { reason: 'settled' });
    return true;
  }

  acknowledge(seen: { readonly generation: number }): boolean {
    requireUint32('acknowledge', 'generation', seen.generation);
    const flag = this.#handle.flag;
    const { generation, level } = flag.read();
    return generation === seen.generation && flag.acknowledge(generation, level);
  }

  subscribe(listener: (records: readonly RollbackRecord[]) => void): () => void {
    // The getter refuses a closed signal before the hub is touched.
    void this.#handle.flag;
    return this.#handle.watchers.subscribe('now', (pending) => {
      const batch = pending.read();
      if (batch.records.length > 0) listener(batch.records.map(toRollbackRecord));
    });
  }

  clear(fields: { reason?: string; origin?: string } = {}): boolean {
    const reason = wellFormed(requireText('clear', 'reason', fields.reason));
    const origin = wellFormed(requireText('clear', 'origin', fields.origin));
    if (this.#pending !== undefined) this.#handle.flag.disarm(this.#pending.deadline);
    this.#pending = undefined;
    return this.#lower(reason, origin);
  }

  close(): void {
    this.#handle.close();
  }

  unlink(): void {
    this.#handle.unlink();
  }

  /** Forgets a request that expired or that another process lowered; throws while it is still running. */
  #dropEndedRequest(): void {
    const pending = this.#pending;
    if (pending === undefined) return;
    const { generation, level } = this.#handle.flag.read();
    if (level === REQUESTED && generation === pending.generation) {
      throw new RollbackPendingError(this.name, pending.requestId);
    }
    this.#handle.flag.disarm(pending.deadline);
    this.#pending = undefined;
  }

  #lower(reason: string, origin: string): boolean {
    for (let attempt = 0; attempt < CLEAR_ATTEMPTS; attempt++) {
      const { generation, level } = this.#handle.flag.read();
      if (level === IDLE) return false;
      if (this.#clearSeen(generation, level, { reason, origin })) return true;
    }
    return false;
  }

  /** Forces only where somebody has not seen the request, so that the record tells the two apart. */
  #clearSeen(generation: number, level: number, meta: { reason: string; origin?: string }): boolean {
    const flag = this.#handle.flag;
    const { outcome } = flag.clear(generation, level, false, meta);
    if (outcome !== 'unseen') return outcome === 'cleared';
    return flag.clear(generation, level, true, meta).outcome === 'cleared';
  }
}

type RollbackTrigger = NativeTrigger & { subject: string; origin: string; deadlineNs: bigint };

function toTrigger(fields: RollbackRequestFields): RollbackTrigger {
  const owner = 'request';
  const requestId = wellFormed(requireText(owner, 'requestId', fields.requestId));
  const size = utf8SizeBytes(requestId);
  if (size < 1 || size > TEXT_BOUNDS.subject) {
    throw new OptionError(`${owner}: requestId must have 1 to ${TEXT_BOUNDS.subject} bytes, got ${size}`);
  }
  requireInteger(owner, 'tier', fields.tier, 1, 2);
  requireInteger(owner, 'deadlineMs', fields.deadlineMs, 1, MAX_DEADLINE_MS);
  return {
    level: REQUESTED,
    // The id of the request is the id of its records, so that the record of the clear names it as well.
    signalId: requestId,
    subject: requestId,
    step: BigInt(requireStep(owner, fields.step)),
    tier: fields.tier,
    deadlineNs: systemClock.monotonicNs() + BigInt(fields.deadlineMs) * BigInt(NS_PER_MS),
    reason: wellFormed(requireText(owner, 'reason', fields.reason)),
    origin: wellFormed(requireText(owner, 'origin', fields.origin)),
    runId: wellFormed(requireText(owner, 'runId', fields.runId)),
  };
}
