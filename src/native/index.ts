export { NATIVE_ABI_MAJOR, NATIVE_ABI_MINOR } from './abi.ts';
export {
  ATTACH_CODES,
  type AttachCode,
  type NativeBatch,
  type NativeControl,
  type NativeCursor,
  type NativeFlag,
  type NativeHistogram,
  type NativeModule,
  type NativeParticipant,
  type NativeRecord,
} from './contract.ts';
export { AttachError, NativeClosedError, NativeLoadError } from './errors.ts';
export { loadNative } from './load.ts';
export { createTwin } from './twin.ts';
