import { parseArgs } from 'node:util';

export interface BenchOptions {
  /** Fewer samples: the whole run in under a minute. */
  readonly quick: boolean;
  /** End with one line of JSON. */
  readonly json: boolean;
}

/**
 * Parses the options every benchmark has. Prints `about` and returns undefined for `--help`; an unknown option ends
 * the process with code 2.
 */
export function parseBenchOptions(argv: readonly string[], about: string): BenchOptions | undefined {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        quick: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (values.help) {
      console.log(about);
      return undefined;
    }
    return { quick: values.quick, json: values.json };
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${about}`);
    process.exit(2);
  }
}
