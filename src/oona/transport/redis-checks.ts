const OLDEST_MAJOR = 7;

/** What is set up in a way that loses messages, each with its remedy, from the reply of INFO. */
export function serverWarnings(info: string): string[] {
  const value = (name: string): string => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';
  const warnings: string[] = [];
  const version = value('redis_version');
  if (version !== '' && Number.parseInt(version, 10) < OLDEST_MAJOR) {
    warnings.push(
      `Redis ${version} is older than ${OLDEST_MAJOR}.0, which this package is tested with: upgrade it`,
    );
  }
  const policy = value('maxmemory_policy');
  if (policy !== '' && policy !== 'noeviction') {
    warnings.push(
      `maxmemory-policy is ${policy}: Redis may evict whole streams; set maxmemory-policy noeviction`,
    );
  }
  if (value('aof_enabled') === '0') {
    warnings.push(
      'appendonly is no: a restart of Redis forgets messages nobody has read; set appendonly yes',
    );
  }
  return warnings;
}
