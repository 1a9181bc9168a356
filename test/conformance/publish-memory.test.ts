import { createMemoryTransport } from '../../src/oona/transport/memory.ts';
import { publishConformance } from './publish.ts';

publishConformance('memory', async () => ({
  open: () => createMemoryTransport(),
  openPeer: (transport) => transport,
  teardown: async () => undefined,
}));
