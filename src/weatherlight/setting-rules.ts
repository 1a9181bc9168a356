import { z } from 'zod';
import { FastpathError } from '../core/errors.ts';
import { parseMemorySize } from '../faults/memory/size.ts';
import { requireName } from '../native/names.ts';
import { parseRedisUrl, REDIS_URL_FORMS } from '../oona/transport/redis-url.ts';

/** How one environment variable is read. `allowed` is what an error tells people. */
export interface SettingRule<T> {
  readonly allowed: string;
  readonly schema: z.ZodType<T, string>;
}

/** A whole number in [min, max], in decimal digits only: '1e3', ' 10' and '0x10' are typing errors, not numbers. */
export function wholeNumber(min: number, max: number, unit: string): SettingRule<number> {
  const number = z.number().min(min).max(max);
  return {
    allowed: `a whole number of ${unit} from ${min} to ${max}`,
    schema: z
      .string()
      .regex(/^\d{1,15}$/)
      .transform(Number)
      .pipe(number),
  };
}

const TRUTH: Readonly<Record<string, boolean>> = { '1': true, true: true, '0': false, false: false };

export const flag: SettingRule<boolean> = {
  allowed: '1 or true, 0 or false',
  schema: z
    .string()
    .toLowerCase()
    .refine((text) => Object.hasOwn(TRUTH, text))
    .transform((text) => TRUTH[text] === true),
};

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
/** Names that Python peers, which share ESP_LOG_LEVEL, have for the same levels. */
const LOG_ALIASES: Readonly<Record<string, LogLevel>> = { warning: 'warn', critical: 'fatal' };

export const logLevel: SettingRule<LogLevel> = {
  allowed: `${LOG_LEVELS.join(', ')}, warning or critical, in any case`,
  schema: z
    .string()
    .toLowerCase()
    .transform((text) => LOG_ALIASES[text] ?? text)
    .pipe(z.enum(LOG_LEVELS)),
};

/** True when `check` returns; false when it refuses its argument by one of our own errors. */
function accepts(check: (text: string) => unknown): (text: string) => boolean {
  return (text) => {
    try {
      check(text);
      return true;
    } catch (error) {
      if (error instanceof FastpathError) return false;
      throw error;
    }
  };
}

const memoryBytes = (text: string): number => parseMemorySize('a memory size', text);

export const memorySize: SettingRule<number> = {
  allowed: 'bytes, or a number with K, M, G or T (512M, 2G, 1Gi), from 1M to 1024T',
  schema: z.string().refine(accepts(memoryBytes)).transform(memoryBytes),
};

export const redisUrl: SettingRule<string> = {
  allowed: REDIS_URL_FORMS,
  schema: z.string().refine(accepts(parseRedisUrl)),
};

export const pemFile: SettingRule<string> = {
  allowed: 'the path of a PEM file',
  schema: z.string().regex(/^\P{C}{1,4096}$/u),
};

export const serverName: SettingRule<string> = {
  allowed: 'a host name',
  schema: z.string().regex(/^[\w.-]{1,253}$/),
};

/** Text of 1 to `max` bytes of UTF-8 that prints: ids end up in logs, in records of fixed size and in Redis keys. */
export function printable(maxBytes: number): SettingRule<string> {
  return {
    allowed: `1 to ${maxBytes} bytes of text without spaces or control characters`,
    schema: z.string().refine((text) => /^[^\s\p{C}]+$/u.test(text) && Buffer.byteLength(text) <= maxBytes),
  };
}

/** It names the host's group in Redis. */
export const hostId: SettingRule<string> = {
  allowed: '1 to 64 printable ASCII characters without spaces',
  schema: z.string().regex(/^[\x21-\x7e]{1,64}$/),
};

export const streamName: SettingRule<string> = {
  allowed: 'letters, digits and . : / - _',
  schema: z.string().regex(/^[\w.:/-]{1,128}$/),
};

export const segmentName: SettingRule<string> = {
  allowed: '1 to 200 characters of A-Z a-z 0-9 . _ - that do not begin with a dot',
  schema: z.string().refine(accepts(requireName)),
};

/** A signing secret. Shorter ones can be guessed from a single captured entry. */
export function secretText(minBytes: number): SettingRule<string> {
  return {
    allowed: `at least ${minBytes} bytes of text`,
    schema: z.string().refine((text) => Buffer.byteLength(text) >= minBytes),
  };
}

export function secretList(minBytes: number): SettingRule<readonly string[]> {
  return {
    allowed: `secrets of at least ${minBytes} bytes each, separated by commas`,
    schema: z
      .string()
      .transform((text) => text.split(',').map((part) => part.trim()))
      .pipe(z.array(z.string().refine((part) => Buffer.byteLength(part) >= minBytes)).min(1)),
  };
}
