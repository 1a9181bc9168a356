/** What the error bus and EventEmitter are handed. */
import type { ErrorReport } from '../../src/faults/index.ts';
import { ErrorSeverity } from '../../src/leyline/messages.ts';

const CODES = ['MEMORY_PRESSURE', 'EVENT_DROPPED', 'ADAPTER_FAILED', 'EMITTER_FAILED'];
const COMPONENTS = ['monitor:memory', 'bus:internal:sub:gzip', 'adapter:http', 'emitter:file'];

const report = (code: string, component: string): ErrorReport => ({
  severity: ErrorSeverity.ERROR_SEVERITY_ERROR,
  code,
  message: 'connect ECONNREFUSED 10.0.0.7:6379',
  component,
  context: { attempt: 3, path: '/var/spool/out' },
});

/** Sixteen, as a program in trouble repeats them: four codes of four components. */
export const REPEATED: readonly ErrorReport[] = CODES.flatMap((code) =>
  COMPONENTS.map((component) => report(code, component)),
);

/** No two alike; fewer than the records that the bus keeps by default. */
export const DISTINCT: readonly ErrorReport[] = Array.from({ length: 960 }, (_, at) =>
  report('ADAPTER_FAILED', `adapter:tenant-${at}`),
);

/** So many distinct ones wait for one listener by default: none is dropped. */
export const DISTINCT_BATCH = 192;
