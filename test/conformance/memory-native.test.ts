import { memoryConformance } from './memory.ts';
import { requireAddon } from './subject.ts';

memoryConformance({ title: 'native', kind: 'shared', load: requireAddon });
