import { createTwin } from '../../src/native/twin.ts';
import { signalConformance } from './signal.ts';

signalConformance({ title: 'twin', kind: 'process-local', load: createTwin });
