/** Every host hears every emergency, in order, whatever else is on the bus. */
import { join } from 'node:path';
import type { Drill } from './drill.ts';
import { singleEngine } from './engines.ts';
import { LedgerReader } from './ledger.ts';
import { onStage, type Stage } from './stage.ts';
import { nowMs } from './wait.ts';

const HOSTS = ['host-a', 'host-b', 'host-c'];
const SOURCES = 4;
/** 1,000 emergencies and 100,000 normal messages at --messages 20000. */
const EMERGENCIES_PER_MESSAGE = 1 / 20;
const NORMAL_PER_MESSAGE = 5;
const NORMAL_PER_SECOND = 4500;

const ledgerOf = (stage: Stage, host: string): string => join(stage.directory, `${host}.emergencies`);

function read(path: string): string[] {
  const ledger = new LedgerReader(path);
  const ids = ledger.read().map(({ eventId }) => eventId);
  ledger.close();
  return ids;
}

interface Heard {
  readonly missing: number;
  readonly again: number;
  readonly outOfOrder: number;
}

/** What one host heard, against what was published. Heard again is no disorder: it was heard in order before. */
function judge(published: readonly string[], heard: readonly string[]): Heard {
  const first = new Set(heard);
  const last = new Map<string, number>();
  let outOfOrder = 0;
  for (const id of first) {
    const [source = '', number = ''] = id.split('-');
    if (Number(number) <= (last.get(source) ?? -1)) outOfOrder += 1;
    last.set(source, Number(number));
  }
  const missing = published.filter((id) => !first.has(id)).length;
  return { missing, again: heard.length - first.size, outOfOrder };
}

async function untilHeard(stage: Stage, published: number): Promise<void> {
  await stage.untilTrue('every host to hear every emergency', () =>
    HOSTS.every((host) => new Set(read(ledgerOf(stage, host))).size >= published),
  );
}

const emergencies: Drill = {
  name: 'emergencies',
  about:
    '1,000 emergencies to three hosts in order per source, 100,000 normal messages in the way, one host killed',
  run: async (context) => {
    const each = Math.max(1, Math.round((context.messages * EMERGENCIES_PER_MESSAGE) / SOURCES));
    const seconds = Math.max(3, (context.messages * NORMAL_PER_MESSAGE) / NORMAL_PER_SECOND);
    const options = {
      ...{ name: 'emergencies', consumers: 0, seconds, share: NORMAL_PER_MESSAGE, window: 128, handlerMs: 5 },
      emergencies: (directory: string) => ({
        ledger: join(directory, 'emergencies'),
        ...{ sources: SOURCES, each, perSecond: each / (seconds * 0.8) },
      }),
    };
    return onStage(
      context,
      await singleEngine('none'),
      options,
      async (stage) => {
        await stage.untilConfirmed(0.5);
        await killHost(stage);
        await stage.drain();
        const published = read(join(stage.directory, 'emergencies'));
        await untilHeard(stage, published.length).catch((error: Error) => stage.problems.push(error.message));
        const row = await stage.finish();
        const heard = HOSTS.map((host) => judge(published, read(ledgerOf(stage, host))));
        const total = (of: (one: Heard) => number): number => heard.reduce((sum, one) => sum + of(one), 0);
        const wanted = each * SOURCES;
        const checks: [boolean, string][] = [
          [published.length !== wanted, `${published.length} emergencies were stored, not ${wanted}`],
          [total((one) => one.missing) > 0, `${total((one) => one.missing)} emergencies were not heard`],
          [
            total((one) => one.outOfOrder) > 0,
            `${total((one) => one.outOfOrder)} emergencies came out of order`,
          ],
        ];
        const notes = [
          `emergencies ${published.length} × ${HOSTS.length} hosts`,
          `heard twice ${total((one) => one.again)}`,
        ];
        const problems = checks.filter(([bad]) => bad).map(([, text]) => text);
        return { ...row, notes: [...notes, ...row.notes], problems: [...row.problems, ...problems] };
      },
      (stage) =>
        Promise.all(HOSTS.map((name) => stage.fleet.join({ name, emergencyLedger: ledgerOf(stage, name) }))),
    );
  },
};

/** SIGKILL of a whole host, which comes back under its name and hears what it missed. */
async function killHost(stage: Stage): Promise<void> {
  const name = HOSTS[1] ?? '';
  const spare = stage.fleet.spare();
  await spare.loaded();
  const inFlight = await stage.faults.inFlight();
  const victim = stage.fleet.members.find((member) => member.consumer.startsWith(name));
  if (victim === undefined) throw new Error(`host ${name} is not there`);
  await stage.fleet.kill(victim);
  const endedMs = nowMs();
  const entryIds = await stage.inspector.pending(victim.consumer);
  if (entryIds.length > 0) stage.faults.consumerKills += 1;
  stage.faults.record({ what: `kill -9 of host ${name}`, inFlight, endedMs, entryIds });
  await stage.fleet.join({ name, emergencyLedger: ledgerOf(stage, name) }, spare);
}

export const emergencyDrills: readonly Drill[] = [emergencies];
