import { readFileSync } from 'node:fs';
import { type ConnectionOptions, createSecureContext } from 'node:tls';
import { errorCode, OptionError } from '../../core/errors.ts';
import { REDIS_TLS_OPTIONS } from './redis-target-options.ts';

/**
 * The server's certificate is always verified; there is no option that turns this off. A server whose certificate
 * is signed by nobody the system trusts is reached by giving its authority as `ca`.
 */
export interface RedisTlsOptions {
  /** PEM of the authorities to trust instead of the system's. */
  readonly ca?: string | Buffer;
  /** PEM of this client's certificate, for servers with `tls-auth-clients yes`; needs `key`. */
  readonly cert?: string | Buffer;
  /** PEM of the private key of `cert`. Never reaches a log or an error. */
  readonly key?: string | Buffer;
  /** Name that the server's certificate must have. Default: the host connected to. */
  readonly servername?: string;
}

/** What `tls.connect` is given. Throws OptionError, which repeats nothing of the key. */
export function resolveRedisTls(owner: string, given: RedisTlsOptions): ConnectionOptions {
  const { ca, cert, key, servername } = REDIS_TLS_OPTIONS.resolve(given, { owner: `${owner}: tls` });
  if ((cert === undefined) !== (key === undefined)) {
    throw new OptionError(`${owner}: tls.cert and tls.key belong together: give both or neither`);
  }
  const options: ConnectionOptions = {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(servername === undefined ? {} : { servername }),
    // Said, because NODE_TLS_REJECT_UNAUTHORIZED=0 in the environment would else switch it off.
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
  };
  try {
    createSecureContext(options);
  } catch (error) {
    throw new OptionError(
      `${owner}: tls.ca, tls.cert and tls.key make no TLS context (${errorCode(error) ?? 'unreadable'})`,
    );
  }
  return Object.freeze(options);
}

/** Name of the variable with a file's path → option that takes the file's content. */
const FILES = Object.freeze({
  OONA_REDIS_TLS_CA: 'ca',
  OONA_REDIS_TLS_CERT: 'cert',
  OONA_REDIS_TLS_KEY: 'key',
} as const);

/**
 * TLS options from the environment: OONA_REDIS_TLS_CA, OONA_REDIS_TLS_CERT and OONA_REDIS_TLS_KEY are paths of PEM
 * files, OONA_REDIS_TLS_SERVERNAME a name. Undefined when none is set. Throws OptionError on a file it cannot read.
 */
export function redisTlsFromEnvironment(
  env: Readonly<Record<string, string | undefined>>,
): RedisTlsOptions | undefined {
  const options: { -readonly [K in keyof RedisTlsOptions]: RedisTlsOptions[K] } = {};
  for (const [variable, option] of Object.entries(FILES)) {
    const path = env[variable];
    if (path === undefined || path === '') continue;
    try {
      options[option] = readFileSync(path);
    } catch (error) {
      throw new OptionError(`${variable}: cannot read ${path}: ${errorCode(error) ?? 'unknown error'}`);
    }
  }
  const servername = env.OONA_REDIS_TLS_SERVERNAME;
  if (servername !== undefined && servername !== '') options.servername = servername;
  return Object.keys(options).length === 0 ? undefined : options;
}
