import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TlsFiles } from './redis-server.ts';

export interface TestAuthority {
  /** Path of the authority's certificate. */
  readonly ca: string;
  /** A key and a certificate signed by this authority; `names` as in subjectAltName, e.g. ['IP:127.0.0.1']. */
  issue(commonName: string, names: readonly string[]): TlsFiles;
  remove(): void;
}

function openssl(directory: string, args: readonly string[]): void {
  try {
    execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new Error('openssl is not installed: run `npm run setup`');
  }
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout'] as const;

/** An authority of this test's own, in a temporary directory that goes with the process. */
export function createAuthority(): TestAuthority {
  const directory = mkdtempSync(join(tmpdir(), 'esper-tls-'));
  const at = (name: string): string => join(directory, name);
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  process.once('exit', remove);
  openssl(directory, [
    'req',
    '-x509',
    ...NEW_KEY,
    'ca.key',
    '-out',
    'ca.crt',
    '-days',
    '2',
    '-subj',
    '/CN=test',
  ]);
  let issued = 0;
  return {
    ca: at('ca.crt'),
    issue(commonName, names) {
      const name = `issued-${issued++}`;
      writeFileSync(at(`${name}.ext`), `subjectAltName=${names.join(',')}\n`);
      openssl(directory, [
        'req',
        ...NEW_KEY,
        `${name}.key`,
        '-out',
        `${name}.csr`,
        '-subj',
        `/CN=${commonName}`,
      ]);
      const signer = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2'];
      const files = ['-in', `${name}.csr`, '-out', `${name}.crt`, '-extfile', `${name}.ext`];
      openssl(directory, ['x509', '-req', ...files, ...signer]);
      return { ca: at('ca.crt'), cert: at(`${name}.crt`), key: at(`${name}.key`) };
    },
    remove,
  };
}
