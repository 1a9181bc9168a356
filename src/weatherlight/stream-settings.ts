import { DEFAULT_STREAMS, type StreamNames } from '../oona/streams.ts';
import type { SettingProblem } from './errors.ts';

export type Streams = Pick<StreamNames, 'normal' | 'emergency' | 'telemetry' | 'policy'>;

/** Telemetry on the emergency stream would answer each emergency with one more, for ever. */
export function requireDistinct(streams: Streams, problems: SettingProblem[]): void {
  const { kernelRequests, kernelReady, kernelErrors, deadLetter } = DEFAULT_STREAMS;
  const owners = new Map(
    Object.entries({ kernelRequests, kernelReady, kernelErrors, deadLetter }).map(([role, name]) => [
      name,
      role,
    ]),
  );
  for (const [role, stream] of Object.entries(streams)) {
    const other = owners.get(stream);
    owners.set(stream, role);
    if (other === undefined) continue;
    const variable = `OONA_${role.toUpperCase()}_STREAM`;
    problems.push({
      variable,
      value: `"${stream}" is refused`,
      allowed: `a name other than the ${other} stream's`,
    });
  }
}
