import { OptionError } from '../core/errors.ts';
import type { StepReport } from './guard-types.ts';

export function refuseReport(report: unknown): never {
  throw new OptionError(
    `TrainingGuard.step: the report must be an object {step, loss}, got ${String(report)}`,
  );
}

export function refuseTypes({ loss, gradNorm }: StepReport): never {
  const given = typeof loss === 'number' ? `gradNorm ${String(gradNorm)}` : `loss of type ${typeof loss}`;
  throw new OptionError(
    `TrainingGuard.step: loss must be a number and gradNorm a number from 0, got ${given}`,
  );
}
