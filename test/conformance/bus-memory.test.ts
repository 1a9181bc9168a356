import { createMemoryTransport } from '../../src/oona/transport/memory.ts';
import { busConformance } from './bus.ts';

busConformance('memory', async () => ({
  open: () => createMemoryTransport(),
  openPeer: (transport) => transport,
  teardown: async () => undefined,
}));
