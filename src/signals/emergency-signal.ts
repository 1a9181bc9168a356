import { requireRange } from '../core/options.ts';
import type { EmergencyLevel } from '../leyline/messages.ts';
import { NO_TICKET } from '../native/contract.ts';
import type { NativeMemorySampler } from '../native/memory-contract.ts';
import { requireInteger, requireText } from './errors.ts';
import { FlagHandle } from './flag-handle.ts';
import { FlagParticipation } from './participation.ts';
import {
  checked,
  MAX_LEVEL,
  type RaiseRequest,
  requireFrom,
  requireId,
  requireOwnId,
  requireSeen,
  textOf,
} from './raise-request.ts';
import { toEmergencyRecord, toWatchEvents } from './records.ts';
import type {
  ClearFields,
  ClearResult,
  Degraded,
  EmergencyRecord,
  EmergencySignal,
  EmergencyState,
  HeartbeatFields,
  MemoryFields,
  OpenSignalOptions,
  Raised,
  RaiseFields,
  Seen,
  SignalStats,
  TriggerFields,
  WatchBatch,
  WatchEvent,
  WatchOptions,
} from './types.ts';
import type { PendingBatch } from './watch.ts';
import { WatchIterator } from './watch-iterator.ts';

const NS_PER_MS = 1e6;
/** Longest age asked of `unpublished`: beyond the uptime of any host, and its nanoseconds still fit 64 bits. */
const MAX_AGE_MS = 1e12;

/**
 * Opens the emergency flag of that name, shared by every process of the host that opens it.
 *
 * Throws AttachError `ESPER_SHM_BAD_NAME` for a name and OptionError for an option that is not allowed. Whatever keeps
 * shared memory from working throws nothing: the signal is then process-local, `degraded` says why, a warning is
 * logged and emitted, and the gauge `tolaria.emergency.shared_signal_degraded` is 1.
 *
 * @param name 1-200 characters of `A-Z a-z 0-9 . _ -`, not beginning with a dot; by custom one per run id.
 */
export function openEmergencySignal(name: string, options?: OpenSignalOptions): EmergencySignal {
  return new FlagEmergencySignal(new FlagHandle('emergency', name, options));
}

class FlagEmergencySignal extends FlagParticipation implements EmergencySignal {
  readonly kind: 'shared' | 'process-local';
  readonly degraded: Degraded | undefined;
  readonly name: string;
  readonly #handle: FlagHandle;

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

  get created(): boolean {
    return this.#handle.created;
  }

  get segmentId(): string {
    return this.#handle.segmentId;
  }

  isSet(): boolean {
    return this.#handle.level() !== 0;
  }

  level(): EmergencyLevel {
    return this.#handle.level() as EmergencyLevel;
  }

  read(): EmergencyState {
    const { generation, level } = this.#handle.flag.read();
    return { generation, level: level as EmergencyLevel };
  }

  history(): EmergencyRecord[] {
    return this.#handle.flag.history().map(toEmergencyRecord);
  }

  find(signalId: string): EmergencyRecord | undefined {
    const record = this.#handle.flag.find(requireText('find', 'signalId', signalId));
    return record === undefined ? undefined : toEmergencyRecord(record);
  }

  trigger(level: EmergencyLevel, fields: TriggerFields = {}): string {
    const request = checked('trigger', level, fields);
    const id = fields.remoteSignalId;
    const remote = id !== undefined;
    const signalId = remote
      ? this.#raiseAs(requireId('trigger', 'remoteSignalId', id), remote, request)
      : this.#raiseHere(request, true);
    this.#raiseWhereNameLeads(signalId, remote, request);
    return signalId;
  }

  raise(level: EmergencyLevel, fields: RaiseFields, onRaised: (raised: Raised) => void): void {
    const request = checked('raise', level, fields);
    const signalId = this.#raiseHere(request, false);
    const { flag } = this.#handle;
    const { raised } = flag;
    const [ticket, monotonicNs, wallNs] = [raised[0], raised[1], raised[2]] as [bigint, bigint, bigint];
    try {
      onRaised({ signalId, ticket: ticket === NO_TICKET ? undefined : ticket, monotonicNs, wallNs });
    } finally {
      flag.giveWay();
      this.#raiseWhereNameLeads(signalId, false, request);
    }
  }

  acknowledge(seen: Seen): boolean {
    requireSeen('acknowledge', seen);
    return this.#handle.flag.acknowledge(seen.generation, seen.level);
  }

  armHeartbeat(limitMs: number, level: EmergencyLevel, fields: HeartbeatFields = {}): boolean {
    const owner = 'armHeartbeat';
    const request = { ...textOf(owner, fields), level: requireInteger(owner, 'level', level, 1, MAX_LEVEL) };
    requireInteger(owner, 'limitMs', limitMs, 1, 2 ** 31 - 1);
    const id = fields.signalId;
    return this.#handle.armHeartbeat(
      limitMs,
      id === undefined ? request : { ...request, signalId: requireOwnId(owner, id) },
    );
  }

  disarmHeartbeat(): void {
    this.#handle.disarmHeartbeat();
  }

  armMemory(sampler: NativeMemorySampler, level: EmergencyLevel, fields: MemoryFields = {}): void {
    const request = { ...textOf('armMemory', fields), level };
    requireInteger('armMemory', 'level', level, 1, MAX_LEVEL);
    this.#handle.armMemory(sampler, request);
  }

  disarmMemory(sampler?: NativeMemorySampler): void {
    this.#handle.disarmMemory(sampler);
  }

  clear(seen: Seen, fields: ClearFields = {}): ClearResult {
    requireSeen('clear', seen);
    const id = fields.remoteSignalId;
    const meta = textOf('clear', fields);
    const result = this.#handle.flag.clear(
      seen.generation,
      seen.level,
      fields.force ?? false,
      id === undefined ? meta : { ...meta, signalId: requireId('clear', 'remoteSignalId', id), remote: true },
    );
    if (result.outcome === 'cleared') return { outcome: 'cleared', signalId: result.signalId };
    if (result.outcome === 'unseen') return { outcome: 'unseen', waitingFor: result.waitingFor };
    return { outcome: result.outcome };
  }

  watch(options: WatchOptions = {}): AsyncIterableIterator<WatchEvent> {
    requireFrom('watch', options.from);
    // The getter refuses a closed signal before the hub is touched.
    void this.#handle.flag;
    return new WatchIterator(this.#handle.watchers, options, toWatchEvents);
  }

  subscribe(listener: (batch: WatchBatch) => void, options: { from?: 'now' | 'oldest' } = {}): () => void {
    requireFrom('subscribe', options.from);
    // The getter refuses a closed signal before the hub is touched.
    void this.#handle.flag;
    return this.#handle.watchers.subscribe(options.from ?? 'now', (pending) =>
      listener(new LazyBatch(pending)),
    );
  }

  unpublished(minAgeMs = 0): EmergencyRecord[] {
    requireRange('unpublished', 'minAgeMs', minAgeMs, 0, MAX_AGE_MS);
    const records = this.#handle.flag.unpublished(BigInt(Math.round(minAgeMs * NS_PER_MS)));
    return records.map(toEmergencyRecord);
  }

  markPublished(record: { readonly ticket: bigint; readonly signalId?: string }): boolean {
    const { flag, followed } = this.#handle;
    if (!followed) return flag.markPublished(record.ticket);
    // The ticket may be of the segment that was left; the emergency has its id in both.
    const here = record.signalId === undefined ? undefined : flag.find(record.signalId);
    return here !== undefined && flag.markPublished(here.ticket);
  }

  stats(): SignalStats {
    const { tickets, overwrittenUnpublished, repairs, idleWakes, nameMoved } = this.#handle.flag.stats();
    return {
      tickets: Number(tickets),
      overwrittenUnpublished: Number(overwrittenUnpublished),
      repairs: Number(repairs),
      idleWakes,
      nameMoved,
    };
  }

  close(): void {
    this.#handle.close();
  }

  unlink(): void {
    this.#handle.unlink();
  }

  #raiseHere({ level, reason, origin, runId, step }: RaiseRequest, giveWay: boolean): string {
    return this.#handle.flag.raise(level, reason, origin, runId, step, giveWay);
  }

  #raiseAs(signalId: string, remote: boolean, raise: RaiseRequest): string {
    const request = { ...raise, step: BigInt(raise.step), signalId, remote, published: remote };
    const { flag } = this.#handle;
    const triggered = flag.trigger(request);
    flag.giveWay();
    return triggered.signalId;
  }

  /** In memory that nobody opens any more nobody hears it: once more where the name leads now. */
  #raiseWhereNameLeads(signalId: string, remote: boolean, request: RaiseRequest): void {
    if (this.#handle.followName()) this.#raiseAs(signalId, remote, request);
  }
}

/** Reads the ring when the listener first asks: until then the wake-up has cost no copy. */
class LazyBatch implements WatchBatch {
  readonly #pending: PendingBatch;
  #records: readonly EmergencyRecord[] | undefined;

  constructor(pending: PendingBatch) {
    this.#pending = pending;
  }

  get records(): readonly EmergencyRecord[] {
    this.#records ??= this.#pending.read().records.map(toEmergencyRecord);
    return this.#records;
  }

  get overruns(): number {
    return this.#pending.read().overruns;
  }

  get holes(): number {
    return this.#pending.read().holes;
  }
}
