import { createMemoryTransport } from '../../src/oona/transport/memory.ts';
import { deadLetterConformance } from './dead-letters.ts';

deadLetterConformance('memory', async () => ({
  open: () => createMemoryTransport(),
  teardown: async () => undefined,
}));
