import { createTwin } from '../../src/native/twin.ts';
import { memoryConformance } from './memory.ts';

memoryConformance({ title: 'twin', kind: 'process-local', load: createTwin });
