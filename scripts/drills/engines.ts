/** The servers that a drill starts for itself. Nothing here ever looks at REDIS_URL. */
import { type ClusterSetup, startCluster } from '../../test/helpers/redis-cluster.ts';
import { SENTINEL_NAME, type SentinelSetup, startSentinels } from '../../test/helpers/redis-sentinel.ts';
import { type RedisServer, startRedis } from '../../test/helpers/redis-server.ts';
import { STREAM } from './bus.ts';
import type { Engine } from './drill.ts';

export interface SingleEngine extends Engine {
  readonly server: RedisServer;
}

/**
 * 'always' survives a SIGKILL of redis-server without the loss of anything that was confirmed: written and synced
 * before the answer. 'none' forgets everything with the process; enough where the process stays.
 */
export async function singleEngine(durability: 'always' | 'none'): Promise<SingleEngine> {
  const server = await startRedis(
    durability === 'none' ? {} : { persistence: 'aof', args: ['--appendfsync', 'always'] },
  );
  return {
    label: durability === 'none' ? 'single' : 'single, AOF fsync always',
    target: { kind: 'single', url: server.url, nodes: [`127.0.0.1:${server.port}`] },
    server,
    end: () => server.kill(),
  };
}

export interface SentinelEngine extends Engine {
  readonly setup: SentinelSetup;
}

/**
 * One replica, and a publish is confirmed when it has it: the one that is promoted has all that was confirmed. With
 * more replicas than are waited for, a failover could promote one that has not.
 */
export async function sentinelEngine(): Promise<SentinelEngine> {
  const setup = await startSentinels({ replicas: 1 });
  const nodes = setup.hosts.split(',');
  const url = `redis+sentinel://${setup.hosts}/${SENTINEL_NAME}`;
  return {
    label: 'Sentinel, 1 replica, waitReplicas 1',
    target: { kind: 'sentinel', url, nodes, primaryName: SENTINEL_NAME, waitReplicas: 1 },
    setup,
    end: () => setup.stop(),
  };
}

export interface ClusterEngine extends Engine {
  readonly setup: ClusterSetup;
}

/** Three nodes; with `replica` the one that has the stream gets one, and publishes wait for it. */
export async function clusterEngine(replica: boolean): Promise<ClusterEngine> {
  const setup = await startCluster();
  try {
    if (replica) await setup.addReplica(await setup.ownerOf(STREAM));
  } catch (error) {
    await setup.stop();
    throw error;
  }
  const target = {
    kind: 'cluster',
    url: `redis+cluster://${setup.hosts}`,
    nodes: setup.hosts.split(','),
  } as const;
  return {
    label: replica ? 'Cluster of 3, 1 replica, waitReplicas 1' : 'Cluster of 3',
    target: replica ? { ...target, waitReplicas: 1 } : target,
    setup,
    end: () => setup.stop(),
  };
}
