import { errorCode } from '../../core/errors.ts';
import type { CallBounds } from './in-flight.ts';
import type { RedisLink } from './redis-link.ts';

/** `lag` of XINFO GROUPS and the deleted ids in the reply of XAUTOCLAIM came with 7.0. */
const OLDEST_MAJOR = 7;

/** `name:value` lines, as INFO and CLUSTER INFO answer. */
function lookup(info: string): (name: string) => string {
  return (name) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';
}

/**
 * What is set up in a way that loses messages, each with its remedy, from the reply of INFO. `save` is the setting of
 * that name, where it may be read.
 */
export function serverWarnings(info: string, save?: string): string[] {
  const value = lookup(info);
  const warnings: string[] = [];
  const version = value('redis_version');
  if (version !== '' && Number.parseInt(version, 10) < OLDEST_MAJOR) {
    warnings.push(
      `Redis ${version} is older than ${OLDEST_MAJOR}.0, which this package is tested with: upgrade it`,
    );
  }
  const policy = value('maxmemory_policy');
  if (policy !== '' && policy !== 'noeviction') {
    warnings.push(
      `maxmemory-policy is ${policy}: Redis may evict whole streams; set maxmemory-policy noeviction`,
    );
  }
  if (value('aof_enabled') === '0') {
    warnings.push(
      save === undefined || save === ''
        ? 'appendonly is no: a restart of Redis forgets messages nobody has read; set appendonly yes'
        : `appendonly is no: a restart of Redis forgets what came after the last snapshot (save ${save}); set appendonly yes`,
    );
  }
  if (value('role') === 'slave') {
    warnings.push('the server is a replica, which takes no messages; point REDIS_URL at the primary');
  }
  return warnings;
}

/** What a node of a Cluster says of the whole, from the reply of CLUSTER INFO. */
export function clusterWarnings(info: string): string[] {
  const value = lookup(info);
  const assigned = value('cluster_slots_assigned');
  if (assigned !== '' && assigned !== '16384') {
    return [`the Cluster has ${assigned} of 16384 slots assigned; run redis-cli --cluster fix`];
  }
  if (value('cluster_state') === 'fail') {
    return ['cluster_state is fail: some slots have no primary that answers; run redis-cli --cluster check'];
  }
  return [];
}

/**
 * Asks every server that takes writes. What a user may not ask (INFO, CONFIG) is left out: such a user must still be
 * able to publish. Rejects with TransportError when nobody answers.
 */
export async function checkServers(link: RedisLink, bounds: CallBounds): Promise<readonly string[]> {
  const found = await link.everywhere(bounds, checkServer);
  return [...new Set(found.flat())];
}

async function checkServer(node: RedisLink, bounds: CallBounds): Promise<readonly string[]> {
  const ask = (command: string, ...args: string[]): Promise<unknown> =>
    node.run(bounds, (client) => client.callBuffer(command, args));
  const refused = (error: unknown): undefined => {
    if (errorCode(error) !== 'ESPER_OONA_AUTH' && errorCode(error) !== 'ESPER_OONA_REDIS') throw error;
  };
  const info = String((await ask('INFO').catch(refused)) ?? '');
  const config = await ask('CONFIG', 'GET', 'save').catch(refused);
  const save = Array.isArray(config) && config.length > 1 ? String(config[1]) : undefined;
  const warnings = serverWarnings(info, save);
  if (lookup(info)('cluster_enabled') === '1') {
    warnings.push(...clusterWarnings(String((await ask('CLUSTER', 'INFO').catch(refused)) ?? '')));
  }
  return warnings;
}
