import { createRedisTransport } from '../../src/oona/transport/redis.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { consumerConformance } from './consumer.ts';

consumerConformance(
  'redis',
  async () => {
    const server = await startRedis();
    const open = () => createRedisTransport({ url: server.url });
    return { open, openPeer: open, teardown: () => server.stop() };
  },
  'shared',
);
