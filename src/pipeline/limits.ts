import { OptionError } from '../core/errors.ts';
import { refuseUnknownKeys } from '../core/options.ts';
import { BUS_OPTIONS, type LimitOverride, type QueueLimits } from './bus-options.ts';

/** Only the limits of something that has more options. */
export function limitsOf({ policy, bufferSize, maxBytes, dropSlow }: QueueLimits): QueueLimits {
  return Object.freeze({ policy, bufferSize, maxBytes, dropSlow });
}

/** `base` as the overrides leave it, in the order they came. */
export function overridden(base: QueueLimits, overrides: Iterable<LimitOverride>): QueueLimits {
  let { policy, bufferSize, maxBytes, dropSlow } = base;
  for (const override of overrides) {
    const { factor = 1 } = override;
    bufferSize = Math.max(1, Math.floor(bufferSize * factor));
    maxBytes = Math.max(1, Math.floor(maxBytes * factor));
    policy = override.policy ?? policy;
    dropSlow = override.dropSlow ?? dropSlow;
  }
  return Object.freeze({ policy, bufferSize, maxBytes, dropSlow });
}

/** Throws OptionError. Copied and frozen, so that what is taken back later is what was applied. */
export function checkedOverride(given: LimitOverride): LimitOverride {
  refuseUnknownKeys('bus override', given, ['factor', 'policy', 'dropSlow']);
  const { factor } = given;
  if (factor !== undefined && !(factor > 0 && factor <= 1)) {
    throw new OptionError(`bus override: factor must be above 0 and at most 1, got ${String(factor)}`);
  }
  for (const key of ['policy', 'dropSlow'] as const) {
    const row = BUS_OPTIONS.rows[key];
    if (given[key] !== undefined && !row.accepts(given[key])) {
      throw new OptionError(`bus override: ${key} must be ${row.allowed}`);
    }
  }
  return Object.freeze({ ...given });
}

/** Throws OptionError. `base` with what `change` gives. */
export function changedLimits(base: QueueLimits, change: Partial<QueueLimits>): QueueLimits {
  refuseUnknownKeys('bus limits', change, ['policy', 'bufferSize', 'maxBytes', 'dropSlow']);
  return limitsOf(BUS_OPTIONS.resolve({ name: 'limits', ...base, ...change }));
}
