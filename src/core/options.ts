import { OptionError } from './errors.ts';

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(substitution, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}

function nearest(key: string, known: readonly string[]): string | undefined {
  const ranked = known.map((name) => ({
    name,
    distance: editDistance(key.toLowerCase(), name.toLowerCase()),
  }));
  ranked.sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best !== undefined && best.distance <= 3 ? best.name : undefined;
}

/** Throws `OptionError` that names the unknown key and, when there is one, the key it was probably meant to be. */
export function refuseUnknownKeys(owner: string, given: object, known: readonly string[]): void {
  for (const key of Object.keys(given)) {
    if (known.includes(key)) continue;
    const guess = nearest(key, known);
    const hint = guess === undefined ? `known options: ${known.join(', ')}` : `did you mean "${guess}"?`;
    throw new OptionError(`${owner}: unknown option "${key}"; ${hint}`);
  }
}

/**
 * Copies `given` over `defaults` and freezes the result: resolved once, never changed after.
 * A key whose value is undefined counts as not given. Unknown keys are refused.
 */
export function resolveOptions<T extends object>(
  owner: string,
  defaults: T,
  given: Partial<T> | undefined,
): Readonly<T> {
  const result = { ...defaults };
  if (given !== undefined) {
    refuseUnknownKeys(owner, given, Object.keys(defaults));
    for (const [key, value] of Object.entries(given)) {
      if (value !== undefined) (result as Record<string, unknown>)[key] = value;
    }
  }
  return Object.freeze(result);
}

/** Throws `OptionError` unless `value` is a finite number in [min, max]; returns it. */
export function requireRange(owner: string, name: string, value: number, min: number, max: number): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < min || value > max) {
    throw new OptionError(`${owner}: ${name} must be a number from ${min} to ${max}, got ${String(value)}`);
  }
  return value;
}
