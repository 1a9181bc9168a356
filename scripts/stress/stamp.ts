/** First bytes of a payload: which one it is. */
export const STAMP_BYTES = 64;

export const stampOf = (id: string): Buffer => Buffer.from(`${id}\n`.padStart(STAMP_BYTES));
