import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../lib/source.mjs';

export const buildDir = join(projectRoot, 'build');
/** Where the programs of native/verify are, once built. */
export const verifyDir = join(buildDir, 'verify');

/**
 * Runs a program to its end.
 *
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, timeoutS?: number, input?: string }} [options] Killed after `timeoutS`.
 * @returns {Promise<{ status: number | null, signal: NodeJS.Signals | null, stdout: string, stderr: string }>}
 */
export async function run(program, args, options = {}) {
  const { cwd = projectRoot, env = process.env, timeoutS, input } = options;
  const child = spawn(program, [...args], { cwd, env, stdio: ['pipe', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const timer = timeoutS === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), timeoutS * 1000);
  try {
    const [status, signal] = await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, killedBy) => resolve([code, killedBy]));
    });
    return { status, signal, stdout, stderr };
  } finally {
    clearTimeout(timer);
  }
}

/**
 * As `run`; throws when it does not end 0, with the end of what it printed.
 *
 * @type {typeof run}
 */
export async function mustRun(program, args, options = {}) {
  const result = await run(program, args, options);
  if (result.status === 0) return result;
  const end = `${result.stdout}\n${result.stderr}`.trim().split('\n').slice(-15).join('\n');
  throw new Error(`${program} ${args.join(' ')} ended with ${result.status ?? result.signal}:\n${end}`);
}

/** Installs what is missing, as `npm run setup` does. @param {{ short: boolean }} how */
export function ensureTools({ short }) {
  const args = [join(projectRoot, 'scripts', 'setup.sh'), ...(short ? [] : ['--verify'])];
  const { status, stdout, stderr } = spawnSync('bash', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`setup failed:\n${stdout}${stderr}`.trim());
}

/** Builds CMake targets in the usual build folder. @param {readonly string[]} targets */
export async function buildTargets(targets) {
  if (targets.length === 0) return;
  if (!existsSync(join(buildDir, 'CMakeCache.txt')))
    throw new Error('there is no build/ made by cmake: run `npm run build:native` first');
  await mustRun('cmake', ['--build', buildDir, '-j', String(availableParallelism()), '--target', ...targets]);
}

/**
 * A build folder of its own, for other compilers and flags: `build-<name>/`.
 *
 * @param {string} name
 * @param {{ compiler?: string, flags?: readonly string[], targets: readonly string[] }} how
 * @returns {Promise<string>} The folder.
 */
export async function buildVariant(name, { compiler, flags = [], targets }) {
  const directory = join(projectRoot, `build-${name}`);
  const env = compiler === undefined ? process.env : { ...process.env, CXX: compiler };
  await mustRun('cmake', ['-S', projectRoot, '-B', directory, ...flags], { env });
  await mustRun('cmake', [
    '--build',
    directory,
    '-j',
    String(availableParallelism()),
    '--target',
    ...targets,
  ]);
  return directory;
}

/** '12,345' @param {number} value */
export function thousands(value) {
  return value.toLocaleString('en-US');
}
