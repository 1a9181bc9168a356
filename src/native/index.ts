export { NATIVE_ABI_MAJOR, NATIVE_ABI_MINOR } from './abi.ts';
export { ATTACH_CODES, type AttachCode } from './attach-codes.ts';
export type {
  NativeBatch,
  NativeControl,
  NativeCursor,
  NativeFlag,
  NativeHistogram,
  NativeModule,
  NativeParticipant,
  NativeRecord,
} from './contract.ts';
export { AttachError, NativeClosedError, NativeLoadError } from './errors.ts';
export { loadNative } from './load.ts';
export type { NativeMemorySampler } from './memory-contract.ts';
export { createTwin } from './twin.ts';
