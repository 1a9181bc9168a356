import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const PEERS = fileURLToPath(new URL('../peers', import.meta.url));
const INSTALLED = join(PEERS, 'node_modules');
/** In it, the lock file that was installed: another one means to install again. */
const STAMP = join(INSTALLED, '.installed');
const INSTALL_TIMEOUT_MS = 180_000;

const lockHash = (): string =>
  createHash('sha256')
    .update(readFileSync(join(PEERS, 'package-lock.json')))
    .digest('hex');

function isInstalled(): boolean {
  return existsSync(STAMP) && readFileSync(STAMP, 'utf8') === lockHash();
}

/**
 * Puts the libraries of bench/peers/package.json into bench/peers/node_modules by `npm ci`, unless they are there.
 * Built aside and renamed: who else installs at the same time, or is killed, leaves nothing half done. Install scripts
 * do not run; what has a binary brings it.
 */
export async function installPeers(): Promise<void> {
  if (isInstalled()) return;
  // On the same file system as its place; git ignores the name.
  const cache = join(PEERS, '.cache');
  mkdirSync(cache, { recursive: true });
  const aside = mkdtempSync(join(cache, 'install-'));
  try {
    for (const file of ['package.json', 'package-lock.json'])
      copyFileSync(join(PEERS, file), join(aside, file));
    await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
      cwd: aside,
      timeout: INSTALL_TIMEOUT_MS,
    });
    writeFileSync(join(aside, 'node_modules', '.installed'), lockHash());
    if (isInstalled()) return;
    if (existsSync(INSTALLED)) renameSync(INSTALLED, join(aside, 'old'));
    renameSync(join(aside, 'node_modules'), INSTALLED);
  } catch (cause) {
    // The other one was first.
    if (isInstalled()) return;
    const { stderr, message } = cause as { stderr?: string; message: string };
    throw new Error(`bench/peers: npm ci failed: ${(stderr || message).trim().split('\n').at(-1)}`, {
      cause,
    });
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}

/** What a peer exports, or why it cannot be had. */
export type Peer<T> = { readonly module: T; readonly missing?: undefined } | { readonly missing: string };

/** Loads an installed peer. Whatever keeps it from loading is an answer, for its row of the table. */
export function loadPeer<T>(name: string): Peer<T> {
  try {
    return { module: createRequire(join(PEERS, 'package.json'))(name) as T };
  } catch (error) {
    return { missing: (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? name };
  }
}
