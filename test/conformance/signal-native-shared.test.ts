import { signalConformance } from './signal.ts';
import { requireAddon } from './subject.ts';

signalConformance({ title: 'addon, shared memory', kind: 'shared', load: requireAddon });
