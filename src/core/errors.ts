/** Base of every error this package throws. Match on `code`, which is stable; messages are for people. */
export class FastpathError extends Error {
  /** Stable identifier, `ESPER_<LAYER>_<WHAT>`; each has a row in docs/errors.md. */
  readonly code: string;
  /** True when the same call can succeed later without the caller changing anything. */
  readonly retryable: boolean;

  constructor(code: string, message: string, options: { cause?: unknown; retryable?: boolean } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}

/** Thrown when an option or argument is outside what its documentation allows. */
export class OptionError extends FastpathError {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super('ESPER_OPTION_INVALID', message, options);
  }
}

/** `error.code` of anything that was thrown, or undefined; safe on non-errors. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' ? code : undefined;
}

/** One line that describes anything that was thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
