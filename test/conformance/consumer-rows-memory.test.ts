import { createMemoryTransport } from '../../src/oona/transport/memory.ts';
import { consumerRowsConformance } from './consumer-rows.ts';

consumerRowsConformance('memory', async () => ({
  open: () => createMemoryTransport(),
  teardown: async () => undefined,
}));
