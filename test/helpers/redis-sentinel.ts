import { Redis } from 'ioredis';
import { type RedisServer, type StartRedisOptions, startRedis } from './redis-server.ts';
import { until } from './until.ts';

export const SENTINEL_NAME = 'mymaster';

export interface SentinelOptions {
  /** Replicas of the primary, 1-5. Default 1. */
  readonly replicas?: number;
  /** Password of the servers, and one of the sentinels. */
  readonly password?: string;
  readonly sentinelPassword?: string;
  /** Of every data server. */
  readonly server?: StartRedisOptions;
  /** After so long without an answer a server counts as down, milliseconds. Default 500. */
  readonly downAfterMs?: number;
}

export interface SentinelSetup {
  /** Primary and replicas as they were started. */
  readonly servers: readonly RedisServer[];
  readonly sentinels: readonly RedisServer[];
  /** `host:port` of the sentinels, for a URL. */
  readonly hosts: string;
  /** Whom most of the sentinels call the primary, and who says so of itself. */
  primary(): Promise<RedisServer>;
  /** Another server becomes the primary: 'kill' ends the present one by SIGKILL, 'command' asks a sentinel. */
  failover(how: 'kill' | 'command'): Promise<RedisServer>;
  stop(): Promise<void>;
}

/** One command on a connection of its own, with a deadline; undefined when it fails. */
async function ask(
  port: number,
  password: string | undefined,
  command: string,
  ...args: string[]
): Promise<unknown> {
  const client = new Redis(port, '127.0.0.1', {
    ...(password === undefined ? {} : { password }),
    ...{ retryStrategy: null, connectTimeout: 1000, commandTimeout: 1000, enableReadyCheck: false },
  });
  client.on('error', () => undefined);
  try {
    return await client.call(command, args);
  } catch {
    return undefined;
  } finally {
    client.disconnect();
  }
}

function fields(reply: unknown): Map<string, string> {
  const flat = Array.isArray(reply) ? reply.map(String) : [];
  return new Map(flat.flatMap((name, i) => (i % 2 === 0 ? [[name, flat[i + 1] ?? ''] as const] : [])));
}

/** One primary, its replicas and three sentinels that know each other, all of this process's own, on loopback. */
export async function startSentinels(options: SentinelOptions = {}): Promise<SentinelSetup> {
  const { replicas = 1, password, sentinelPassword, downAfterMs = 500 } = options;
  const secret = password === undefined ? [] : ['--requirepass', password, '--masterauth', password];
  const args = [...(options.server?.args ?? []), ...secret, '--repl-diskless-sync-delay', '0'];
  const servers: RedisServer[] = [await startRedis({ ...options.server, args })];
  const [first] = servers;
  if (first === undefined) throw new Error('no primary');
  const follow = ['--replicaof', `127.0.0.1 ${first.port}`];
  for (let i = 0; i < replicas; i++) {
    servers.push(await startRedis({ ...options.server, args: [...args, ...follow] }));
  }
  const role = async (server: RedisServer): Promise<unknown[]> => {
    const reply = await ask(server.port, password, 'ROLE');
    return Array.isArray(reply) ? reply : [];
  };
  await until('the replicas', async () => {
    const roles = await Promise.all(servers.slice(1).map(role));
    return roles.every(([, , , state]) => state === 'connected');
  });
  const sentinelConfig = [
    `sentinel monitor ${SENTINEL_NAME} 127.0.0.1 ${first.port} 2`,
    `sentinel down-after-milliseconds ${SENTINEL_NAME} ${downAfterMs}`,
    `sentinel failover-timeout ${SENTINEL_NAME} 5000`,
    `sentinel parallel-syncs ${SENTINEL_NAME} 1`,
    ...(password === undefined ? [] : [`sentinel auth-pass ${SENTINEL_NAME} ${password}`]),
    ...(sentinelPassword === undefined
      ? []
      : [`requirepass ${sentinelPassword}`, `sentinel sentinel-pass ${sentinelPassword}`]),
  ];
  const sentinels = await Promise.all([0, 1, 2].map(() => startRedis({ sentinelConfig })));
  await until('the sentinels to know each other', async () => {
    const seen = await Promise.all(
      sentinels.map(({ port }) => ask(port, sentinelPassword, 'SENTINEL', 'MASTER', SENTINEL_NAME)),
    );
    return seen
      .map(fields)
      .every((one) => one.get('num-other-sentinels') === '2' && one.get('num-slaves') === String(replicas));
  });

  async function told(): Promise<RedisServer | undefined> {
    const answers = await Promise.all(
      sentinels.map(({ port }) =>
        ask(port, sentinelPassword, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', SENTINEL_NAME),
      ),
    );
    const ports = answers.map((answer) => Number(Array.isArray(answer) ? answer[1] : 0));
    return servers.find(({ port }) => ports.filter((one) => one === port).length >= 2);
  }
  const primary = (): Promise<RedisServer> =>
    until('a primary', async () => {
      const server = await told();
      if (server === undefined || (await role(server))[0] !== 'master') return undefined;
      return server;
    });
  return {
    servers,
    sentinels,
    hosts: sentinels.map(({ port }) => `127.0.0.1:${port}`).join(','),
    primary,
    async failover(how) {
      const before = await primary();
      if (how === 'kill') await before.kill();
      return until('another primary', async () => {
        // Refused while another failover has just been, or while no replica is in a good state.
        const [asked] = sentinels;
        if (how === 'command' && asked !== undefined && (await told()) === before) {
          await ask(asked.port, sentinelPassword, 'SENTINEL', 'FAILOVER', SENTINEL_NAME);
        }
        const now = await told();
        if (now === undefined || now === before) return undefined;
        return (await role(now))[0] === 'master' ? now : undefined;
      });
    },
    async stop() {
      await Promise.all([...sentinels, ...servers].map((one) => one.kill()));
    },
  };
}
