import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { delay, poll } from '../drills/wait.ts';
import { Child, type ChildEnd } from './child.ts';

const SCRIPT = fileURLToPath(new URL('../../examples/relay.ts', import.meta.url));
const START_MS = 60_000;

/** One line of the relay's log. */
export interface LogLine {
  readonly msg?: string;
  readonly code?: string;
  readonly port?: number;
  readonly payload?: string;
  readonly outcome?: string;
  readonly context?: Readonly<Record<string, string>>;
  readonly received?: number;
  readonly delivered?: number;
  readonly refused?: number;
  readonly reason?: string;
}

/** The relay of examples/, with a directory of its own for its files. */
export class RelayProcess {
  readonly directory = mkdtempSync(join(tmpdir(), 'esper-stress-'));
  readonly log: LogLine[] = [];
  readonly #child: Child;

  /** `under`: a command that runs it, in a cgroup for instance. */
  constructor(args: readonly string[], under: readonly string[] = []) {
    this.#child = new Child({
      script: SCRIPT,
      args: ['--port', '0', '--directory', this.directory, ...args],
      under,
      nodeArgs: ['--expose-gc'],
      onLine: (line) => this.log.push(parsed(line)),
    });
  }

  get ended(): Promise<ChildEnd> {
    return this.#child.ended;
  }

  get end(): ChildEnd | undefined {
    return this.#child.end;
  }

  /** Resolves at its end, or after `ms`. */
  async endedWithin(ms: number): Promise<void> {
    const over = new AbortController();
    const late = delay(ms, undefined, { signal: over.signal }).catch(() => undefined);
    await Promise.race([late, this.ended]);
    over.abort();
  }

  get stderr(): string {
    return this.#child.stderr;
  }

  /** Where it listens. */
  async url(): Promise<string> {
    const port = await poll('the relay to listen', { timeoutMs: START_MS }, () => {
      if (this.end !== undefined) throw new Error(`the relay ended before it listened: ${this.stderr}`);
      return this.log.find(({ msg }) => msg === 'relay listens')?.port;
    });
    return `http://127.0.0.1:${port}`;
  }

  withCode(code: string): readonly LogLine[] {
    return this.log.filter((line) => line.code === code);
  }

  terminate(): void {
    this.#child.signal('SIGTERM');
  }

  async remove(): Promise<void> {
    await this.#child.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function parsed(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    // The line that was being written when it was killed.
    return { msg: line };
  }
}
