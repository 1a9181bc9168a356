import { signalConformance } from './signal.ts';
import { requireAddon } from './subject.ts';

signalConformance({ title: 'addon, private memory', kind: 'process-local', load: requireAddon });
