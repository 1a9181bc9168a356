// watchdog: 120 s
import { createRedisTransport } from '../../src/oona/transport/redis.ts';
import { startCluster } from '../helpers/redis-cluster.ts';
import { transportConformance } from './transport.ts';

// The streams of a test lie in several slots: dead letters take two steps here.
transportConformance('redis', async () => {
  const cluster = await startCluster();
  const open = () => createRedisTransport({ url: `redis+cluster://${cluster.hosts}` });
  return { open, openPeer: open, teardown: () => cluster.stop() };
});
