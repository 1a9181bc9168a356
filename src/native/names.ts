import { AttachError } from './errors.ts';

/** Longest segment name; with the prefix `esper.<uid>.` it stays below the 255 bytes of a file name. */
export const MAX_NAME_LENGTH = 200;

const NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/;

/**
 * Returns the name, or throws AttachError `ESPER_SHM_BAD_NAME`. A name is 1-200 characters of `A-Z a-z 0-9 . _ -`
 * and does not begin with a dot. A slash would leave /dev/shm, so it is refused here and once more in the addon.
 */
export function requireName(name: string): string {
  if (typeof name !== 'string') {
    throw new AttachError('ESPER_SHM_BAD_NAME', `segment name must be a string, got ${typeof name}`);
  }
  if (name.length === 0) throw new AttachError('ESPER_SHM_BAD_NAME', 'segment name is empty');
  if (name.length > MAX_NAME_LENGTH) {
    const message = `segment name has ${name.length} characters, at most ${MAX_NAME_LENGTH} are allowed`;
    throw new AttachError('ESPER_SHM_BAD_NAME', message);
  }
  if (!NAME.test(name)) {
    const message = `segment name ${JSON.stringify(name)} may hold only A-Z a-z 0-9 . _ - and not begin with a dot`;
    throw new AttachError('ESPER_SHM_BAD_NAME', message);
  }
  return name;
}
