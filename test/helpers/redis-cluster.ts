import { Redis } from 'ioredis';
import { freePort, type RedisServer, type StartRedisOptions, startRedis } from './redis-server.ts';
import { until } from './until.ts';

const SLOTS = 16_384;

export interface ClusterNode {
  readonly server: RedisServer;
  readonly id: string;
  readonly admin: Redis;
}

export interface ClusterOptions {
  readonly nodes?: number;
  readonly server?: StartRedisOptions;
  /** After so long without an answer a node counts as failing, milliseconds. Default 1000. */
  readonly nodeTimeoutMs?: number;
}

export interface ClusterSetup {
  /** Nodes with slots, in the order of their first ones. */
  readonly nodes: readonly ClusterNode[];
  /** `host:port` of the nodes, for a URL. */
  readonly hosts: string;
  /** By CLUSTER KEYSLOT. */
  slotOf(key: string): Promise<number>;
  /** Who has the slot of `key`, by the map of the first node that answers. */
  ownerOf(key: string): Promise<ClusterNode>;
  /** Another node than the owner of `key`. */
  otherThan(key: string): Promise<ClusterNode>;
  /** Moves one slot as redis-cli does: IMPORTING, MIGRATING, MIGRATE key by key, NODE. `meanwhile` runs while it is split. */
  moveSlot(slot: number, to: ClusterNode, meanwhile?: () => Promise<void>): Promise<void>;
  /** A replica of `of`, which takes over when that one is killed. Resolves once it has caught up. */
  addReplica(of: ClusterNode): Promise<ClusterNode>;
  stop(): Promise<void>;
}

interface Slots {
  readonly from: number;
  readonly to: number;
  readonly port: number;
}

async function startNode(options: ClusterOptions): Promise<ClusterNode & { readonly busPort: number }> {
  // The default, port + 10000, is beyond 65535 for many of the free ones.
  const busPort = await freePort();
  const server = await startRedis({
    ...options.server,
    args: [
      ...(options.server?.args ?? []),
      ...['--cluster-enabled', 'yes', '--cluster-port', String(busPort)],
      ...['--cluster-node-timeout', String(options.nodeTimeoutMs ?? 1000)],
      ...['--cluster-require-full-coverage', 'no', '--repl-diskless-sync-delay', '0'],
    ],
  });
  const admin = new Redis(server.port, '127.0.0.1', { retryStrategy: () => 50, maxRetriesPerRequest: null });
  admin.on('error', () => undefined);
  return { server, admin, busPort, id: String(await admin.cluster('MYID')) };
}

async function slotsOf(admin: Redis): Promise<Slots[]> {
  const rows = await admin.cluster('SLOTS');
  return rows.map(([from, to, primary]) => ({ from, to, port: primary?.[1] ?? 0 }));
}

async function join(nodes: readonly (ClusterNode & { readonly busPort: number })[]): Promise<void> {
  const share = Math.ceil(SLOTS / nodes.length);
  for (const [i, { admin }] of nodes.entries()) {
    const from = String(i * share);
    const to = String(Math.min(SLOTS, (i + 1) * share) - 1);
    await admin.call('CLUSTER', ['SET-CONFIG-EPOCH', String(i + 1)]);
    await admin.call('CLUSTER', ['ADDSLOTSRANGE', from, to]);
  }
  for (const one of nodes.slice(1)) await meet(nodes[0], one);
  await until('the nodes to agree', async () => {
    const infos = await Promise.all(nodes.map(({ admin }) => admin.cluster('INFO')));
    const maps = await Promise.all(nodes.map(({ admin }) => slotsOf(admin)));
    return (
      infos.every((info) => /cluster_state:ok/.test(String(info))) &&
      maps.every((map) => map.length === nodes.length)
    );
  });
}

async function meet(
  one: ClusterNode | undefined,
  other: ClusterNode & { readonly busPort: number },
): Promise<void> {
  await one?.admin.call('CLUSTER', ['MEET', '127.0.0.1', String(other.server.port), String(other.busPort)]);
}

/** A Redis Cluster of three nodes of this process's own, on loopback, with all slots assigned. */
export async function startCluster(options: ClusterOptions = {}): Promise<ClusterSetup> {
  const nodes = await Promise.all(Array.from({ length: options.nodes ?? 3 }, () => startNode(options)));
  const all: ClusterNode[] = [...nodes];
  await join(nodes);
  const alive = (): ClusterNode => {
    const found = all.find(({ admin }) => admin.status === 'ready');
    if (found === undefined) throw new Error('no node of the Cluster answers');
    return found;
  };
  const slotOf = async (key: string): Promise<number> => Number(await alive().admin.cluster('KEYSLOT', key));
  const ownerOfSlot = async (slot: number): Promise<ClusterNode> => {
    const row = (await slotsOf(alive().admin)).find(({ from, to }) => slot >= from && slot <= to);
    const owner = all.find(({ server }) => server.port === row?.port);
    if (owner === undefined) throw new Error(`nobody has slot ${slot}`);
    return owner;
  };
  const ownerOf = async (key: string): Promise<ClusterNode> => ownerOfSlot(await slotOf(key));

  async function moveSlot(
    slot: number,
    to: ClusterNode,
    meanwhile = async (): Promise<void> => undefined,
  ): Promise<void> {
    const from = await ownerOfSlot(slot);
    if (from === to) return;
    const setSlot = (node: ClusterNode, ...args: string[]): Promise<unknown> =>
      node.admin.call('CLUSTER', ['SETSLOT', String(slot), ...args]);
    await setSlot(to, 'IMPORTING', from.id);
    await setSlot(from, 'MIGRATING', to.id);
    await meanwhile();
    for (;;) {
      const keys = (await from.admin.call('CLUSTER', ['GETKEYSINSLOT', String(slot), '10'])) as string[];
      if (keys.length === 0) break;
      const place = ['127.0.0.1', String(to.server.port), '', '0', '5000'];
      await from.admin.call('MIGRATE', [...place, 'KEYS', ...keys]);
    }
    await meanwhile();
    for (const node of [to, from, ...all.filter((one) => one !== to && one !== from)]) {
      if (node.admin.status === 'ready') await setSlot(node, 'NODE', to.id).catch(ignoreReplica);
    }
  }

  return {
    nodes,
    hosts: nodes.map(({ server }) => `127.0.0.1:${server.port}`).join(','),
    slotOf,
    ownerOf,
    async otherThan(key) {
      const owner = await ownerOf(key);
      const other = nodes.find((node) => node !== owner);
      if (other === undefined) throw new Error('a Cluster of one node');
      return other;
    },
    moveSlot,
    async addReplica(of) {
      const replica = await startNode(options);
      all.push(replica);
      await meet(of, replica);
      await until('the replica to hear of its primary', () =>
        replica.admin.call('CLUSTER', ['REPLICATE', of.id]).then(
          () => true,
          () => false,
        ),
      );
      await until('the replica', async () =>
        /master_link_status:up/.test(await replica.admin.info('replication')),
      );
      // The others must know it too, or they do not vote for it.
      await until('the others to know the replica', async () => {
        const others = all.filter((one) => one !== replica && one.admin.status === 'ready');
        const known = await Promise.all(others.map(({ admin }) => admin.cluster('NODES')));
        return known.every((text) => new RegExp(`^${replica.id} .* slave ${of.id} `, 'm').test(String(text)));
      });
      return replica;
    },
    async stop() {
      for (const { admin } of all) admin.disconnect();
      await Promise.all(all.map(({ server }) => server.kill()));
    },
  };
}

/** Replicas learn of it by gossip, and refuse to be told. */
function ignoreReplica(error: unknown): void {
  if (!/replica|slave/i.test(String(error))) throw error;
}
