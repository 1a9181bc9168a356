import { createMemoryTransport } from '../../src/oona/transport/memory.ts';
import { consumerConformance } from './consumer.ts';

consumerConformance(
  'memory',
  async () => ({
    open: () => createMemoryTransport(),
    openPeer: (transport) => transport,
    teardown: async () => undefined,
  }),
  'shared',
);
