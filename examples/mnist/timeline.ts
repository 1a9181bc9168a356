import { formatLatency, paint, table } from './terminal.ts';

/** One thing that happened, on the clock that all processes of this machine share. */
export interface Moment {
  readonly atMs: number;
  readonly who: string;
  readonly what: string;
  /** How long after something else it happened. */
  readonly latency?: { readonly ms: number; readonly after: string };
}

const COLOURS = { trainer: 'green', weatherlight: 'cyan', operator: 'magenta' } as const;

function paintWho(who: string): string {
  for (const [role, colour] of Object.entries(COLOURS)) if (who.startsWith(role)) return paint(colour, who);
  return who;
}

/** Rows in the order of time; the first column counts milliseconds from the first moment. */
export function renderTimeline(moments: readonly Moment[]): string[] {
  const sorted = [...moments].sort((one, other) => one.atMs - other.atMs);
  const startMs = sorted[0]?.atMs ?? 0;
  const rows = sorted.map(({ atMs, who, what, latency }) => [
    (atMs - startMs).toFixed(1),
    paintWho(who),
    what,
    latency === undefined ? '' : paint('bold', formatLatency(latency.ms)),
    latency === undefined ? '' : paint('dim', `after ${latency.after}`),
  ]);
  return table(
    [
      { title: 'ms', align: 'right' },
      { title: 'who', align: 'left' },
      { title: 'what', align: 'left' },
      { title: 'latency', align: 'right' },
      { title: '', align: 'left' },
    ],
    rows,
  );
}
