/** Source of randomness in [0, 1); injected so that tests can repeat a run. */
export type Random = () => number;

export const systemRandom: Random = () => Math.random();
