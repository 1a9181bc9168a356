import { createReadStream, existsSync } from 'node:fs';
import { join } from 'node:path';
import { createGunzip } from 'node:zlib';
import type { LoadOutcome, LoadReport } from './load-process.ts';
import type { LogLine } from './relay-process.ts';
import { STAMP_BYTES, stampOf } from './stamp.ts';

/** What both sides say of all payloads, and whether they say the same. */
export interface Balance {
  /** By the sender. */
  readonly sent: number;
  readonly delivered: number;
  readonly refused: number;
  /** The connection broke without an answer, and the relay had never heard of it: as it ended. */
  readonly unheard: number;
  /** Answered 200 and not whole in its file, or received and never answered. */
  readonly lost: number;
  readonly problems: readonly string[];
}

const MAX_PROBLEMS = 5;

/** Holds the sender's account against the relay's log, its own account and its files, payload by payload. */
export async function balanceOf(
  load: LoadReport,
  log: readonly LogLine[],
  directory: string,
  payloadBytes: number,
): Promise<Balance> {
  const problems: string[] = load.notes.map((note) => `answered neither 200 nor 503: ${note}`);
  const told = new Map(
    log.flatMap(({ payload, outcome }) => (payload === undefined ? [] : [[payload, outcome]])),
  );
  const count = { delivered: 0, refused: 0, unheard: 0, lost: 0, strange: 0 };
  for (const [id, outcome] of load.outcomes) {
    const relay = told.get(id);
    const how = outcome === 'broken' ? brokenAs(relay) : outcome;
    if (how === 'delivered' && !(await isWhole(join(directory, `${id}.gz`), id, payloadBytes))) {
      count.lost += 1;
      problems.push(`${id}: answered 200, and its file is not whole`);
    } else if (how === 'broken') {
      count.lost += 1;
      problems.push(`${id}: no answer, and the relay had received it (${relay})`);
    } else if (how !== 'unreachable') {
      count[how] += 1;
    }
    if (outcome !== 'broken' && outcome !== relay)
      problems.push(`${id}: ${outcome} by the sender, ${relay} by the relay`);
  }
  for (const id of told.keys())
    if (!load.outcomes.has(id)) problems.push(`${id}: the sender knows nothing of it`);
  problems.push(...sums(log, count));
  const { strange, ...counts } = count;
  return { sent: load.outcomes.size, ...counts, problems: problems.slice(0, MAX_PROBLEMS) };
}

const brokenAs = (relay: string | undefined): LoadOutcome | 'unheard' =>
  relay === undefined ? 'unheard' : 'broken';

/** received = delivered + refused in the relay's own account, and the same numbers as the sender's. */
function sums(log: readonly LogLine[], sender: { delivered: number; refused: number }): readonly string[] {
  const own = log.find(({ msg }) => msg === 'payloads');
  if (own === undefined) return ['the relay ended without its account'];
  const { received = 0, delivered = 0, refused = 0 } = own;
  const problems: string[] = [];
  if (received !== delivered + refused)
    problems.push(`relay: received ${received} is not delivered ${delivered} + refused ${refused}`);
  if (delivered !== sender.delivered || refused !== sender.refused)
    problems.push(
      `relay: delivered ${delivered}, refused ${refused}; sender: ${sender.delivered}, ${sender.refused}`,
    );
  return problems;
}

/** Does the file unpack, checksum and all, to a payload of that size that begins with that id? */
async function isWhole(path: string, id: string, payloadBytes: number): Promise<boolean> {
  if (!existsSync(path)) return false;
  let bytes = 0;
  let stamp = Buffer.alloc(0);
  try {
    for await (const chunk of createReadStream(path).pipe(createGunzip({ chunkSize: 2 ** 18 }))) {
      if (stamp.length < STAMP_BYTES)
        stamp = Buffer.concat([stamp, chunk as Buffer]).subarray(0, STAMP_BYTES);
      bytes += (chunk as Buffer).length;
    }
  } catch {
    return false;
  }
  return bytes === payloadBytes && stamp.equals(stampOf(id));
}
