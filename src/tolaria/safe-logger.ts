import type { Logger } from '../core/logger.ts';

/**
 * The same logger, never throwing: a full disk under a log must not end a training, nor keep an emergency from the
 * bus after the flag was set.
 */
export function safeLogger(logger: Logger): Logger {
  return logger instanceof SafeLogger ? logger : new SafeLogger(logger);
}

class SafeLogger implements Logger {
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  debug(fields: object, message: string): void {
    this.#log('debug', fields, message);
  }

  info(fields: object, message: string): void {
    this.#log('info', fields, message);
  }

  warn(fields: object, message: string): void {
    this.#log('warn', fields, message);
  }

  error(fields: object, message: string): void {
    this.#log('error', fields, message);
  }

  #log(severity: keyof Logger, fields: object, message: string): void {
    try {
      this.#logger[severity](fields, message);
    } catch {
      // There is nowhere left to tell it: metrics and events carry on.
    }
  }
}
