/** What publish() returns when nothing waits. Shared: an event that is taken at once costs no promise. */
export const TAKEN: Promise<void> = Promise.resolve();
