import { createMemoryTransport } from '../../src/oona/transport/memory.ts';
import { transportConformance } from './transport.ts';

transportConformance('memory', async () => ({
  open: () => createMemoryTransport(),
  openPeer: (transport) => transport,
  teardown: async () => undefined,
}));
