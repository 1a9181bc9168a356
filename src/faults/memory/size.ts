import { OptionError } from '../../core/errors.ts';

const PATTERN = /^(\d{1,16}(?:\.\d{1,6})?)\s*([kmgt]?)(i?)(b?)$/i;
const POWERS: Readonly<Record<string, number>> = Object.freeze({ '': 0, k: 1, m: 2, g: 3, t: 4 });
/** Smallest size that is taken for a limit of a process: node itself does not start in less. */
export const MIN_LIMIT_BYTES = 2 ** 20;
export const MAX_LIMIT_BYTES = 2 ** 50;

/**
 * Bytes of '536870912', '512M', '2G', '1Gi', '1.5g', '512MB'. K, M, G and T are powers of 1024 with or without the i,
 * as the kernel, Docker and systemd read them. Throws OptionError that names `name`.
 */
export function parseMemorySize(name: string, text: string): number {
  const found = PATTERN.exec(text.trim());
  const [, digits = '', unit = '', binary = '', letter = ''] = found ?? [];
  // '1iB' and '1.5' are slips of the pen: of which unit nobody can say.
  const isWhole = unit !== '' || (binary === '' && !digits.includes('.'));
  const bytes = Math.floor(Number(digits) * 1024 ** (POWERS[unit.toLowerCase()] ?? 0));
  if (found !== null && isWhole && bytes >= MIN_LIMIT_BYTES && bytes <= MAX_LIMIT_BYTES) return bytes;
  const what = 'bytes or a number with K, M, G or T (512M, 2G, 1Gi), from 1M to 1024T';
  const hint = letter === 'b' && unit === '' && found !== null ? ' (too small)' : '';
  throw new OptionError(`memory monitor: ${name} must be ${what}, got "${text.slice(0, 100)}"${hint}`);
}
