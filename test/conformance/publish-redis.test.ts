import { createRedisTransport } from '../../src/oona/transport/redis.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { publishConformance } from './publish.ts';

publishConformance('redis', async () => {
  const server = await startRedis();
  const open = () => createRedisTransport({ url: server.url });
  return { open, openPeer: open, teardown: () => server.stop() };
});
