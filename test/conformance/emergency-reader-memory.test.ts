import { createMemoryTransport } from '../../src/oona/transport/memory.ts';
import { emergencyReaderConformance } from './emergency-reader.ts';

emergencyReaderConformance('memory', async () => ({
  open: () => createMemoryTransport(),
  openPeer: (transport) => transport,
  teardown: async () => undefined,
}));
