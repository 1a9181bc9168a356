/** Version of the interface in contract.ts; the addon reports the one it was built for. */
export const NATIVE_ABI_MAJOR = 1;
export const NATIVE_ABI_MINOR = 2;
