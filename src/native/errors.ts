import { FastpathError } from '../core/errors.ts';
import type { AttachCode } from './attach-codes.ts';

export type NativeLoadCode =
  /** ESPER_FASTPATH_NATIVE=off. */
  | 'ESPER_NATIVE_DISABLED'
  /** Neither a prebuilt addon for this platform nor a built one. */
  | 'ESPER_NATIVE_MISSING'
  /** The file is there and would not load; see `cause`. */
  | 'ESPER_NATIVE_LOAD_FAILED'
  /** Built for another version of this package. */
  | 'ESPER_NATIVE_ABI_MISMATCH';

/** Why the native addon is not in use. */
export class NativeLoadError extends FastpathError {
  constructor(code: NativeLoadCode, message: string, options: { cause?: unknown } = {}) {
    super(code, message, options);
  }
}

/** A segment that could not be opened. The addon throws plain errors with the same codes. */
export class AttachError extends FastpathError {
  constructor(code: AttachCode, message: string, options: { cause?: unknown } = {}) {
    super(code, message, options);
  }
}

/** A method of a native flag or histogram was called after its close(). The addon throws the same code. */
export class NativeClosedError extends FastpathError {
  constructor(what: string) {
    super('ESPER_NATIVE_CLOSED', `${what} was closed`);
  }
}
