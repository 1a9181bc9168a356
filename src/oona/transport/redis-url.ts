import { OptionError } from '../../core/errors.ts';

/** Where Redis is, taken apart, so that the secret is held by nobody but the client. */
export interface RedisAddress {
  readonly host: string;
  readonly port: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly db: number;
  readonly tls: boolean;
  /** The URL for logs and errors: user and password replaced, query dropped. */
  readonly masked: string;
}

/** `redis://***@host:6379/0` of a URL; one that may hold its password elsewhere, by a typo, is not repeated. */
export function maskRedisUrl(url: string): string {
  if (!URL.canParse(url)) return '(a URL that does not parse)';
  const { protocol, username, password, host, pathname, search, hash } = new URL(url);
  if (!/^(rediss?|https?):$/.test(protocol)) return '(a URL of another scheme)';
  // In redis:/:password@host all of it is the path; in redis://user:12#rest@host the password begins as the port.
  const noHost = host === '' && !/^\/?\d{0,5}$/.test(pathname);
  if (noHost || `${pathname}${search}${hash}`.includes('@')) return `${protocol}//(not repeated)`;
  const secret = username !== '' || password !== '' ? '***@' : '';
  return `${protocol}//${secret}${host}${pathname === '/' ? '' : pathname}`;
}

function decoded(part: string, masked: string): string | undefined {
  if (part === '') return undefined;
  try {
    return decodeURIComponent(part);
  } catch {
    throw new OptionError(
      `REDIS_URL: user or password has a "%" that is not followed by two hex digits (${masked})`,
    );
  }
}

/** Throws OptionError, which never repeats a secret, on anything but redis:// and rediss://. */
export function parseRedisUrl(url: string): RedisAddress {
  const masked = maskRedisUrl(url);
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || (parsed.protocol !== 'redis:' && parsed.protocol !== 'rediss:')) {
    throw new OptionError(
      `REDIS_URL must be redis://[user:password@]host[:port][/db] or rediss://…, got ${masked}`,
    );
  }
  if (parsed.search !== '') {
    throw new OptionError(`REDIS_URL: options after "?" are not supported (${masked}); pass them as options`);
  }
  const dbText = parsed.pathname.replace(/^\//, '');
  if (!/^\d{0,5}$/.test(dbText))
    throw new OptionError(`REDIS_URL: the path must be a database number, got ${masked}`);
  return Object.freeze({
    host: parsed.hostname.replace(/^\[|\]$/g, '') || '127.0.0.1',
    port: parsed.port === '' ? 6379 : Number(parsed.port),
    username: decoded(parsed.username, masked),
    password: decoded(parsed.password, masked),
    db: Number(dbText),
    tls: parsed.protocol === 'rediss:',
    masked,
  });
}
