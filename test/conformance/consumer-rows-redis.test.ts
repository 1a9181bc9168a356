import { createRedisTransport } from '../../src/oona/transport/redis.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { consumerRowsConformance } from './consumer-rows.ts';

consumerRowsConformance('redis', async () => {
  const server = await startRedis();
  return { open: () => createRedisTransport({ url: server.url }), teardown: () => server.stop() };
});
