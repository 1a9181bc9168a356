import { MetricPoint, TelemetryEvent, type TelemetryLevel, TelemetryPacket } from '../../leyline/messages.ts';
import { timestampFromWallMs } from '../../leyline/timestamps.ts';
import { compareEntryIds } from '../transport/entries.ts';
import type { LetterGroup } from './audit-groups.ts';

export interface AuditNews {
  /** Dead letters since the last packet. */
  readonly fresh: number;
  readonly ratePerMinute: number;
  /** Age of the oldest letter on the stream. */
  readonly oldestAgeMs: number;
  readonly level: TelemetryLevel;
  readonly groups: readonly LetterGroup[];
  readonly deadLetterStream: string;
  readonly wallMs: number;
}

/** What the operator is told: which codes, from where, how many; nothing of the messages themselves. */
export function auditPacket(news: AuditNews): TelemetryPacket {
  return TelemetryPacket.create({
    packetId: packetId(news),
    timestamp: timestampFromWallMs(news.wallMs),
    sourceSubsystem: 'oona',
    level: news.level,
    metrics: [
      point('oona.dead_letters.new', news.fresh, 'count'),
      point('oona.dead_letters.rate_per_minute', news.ratePerMinute, '1/min'),
      point('oona.dead_letters.oldest_age_ms', news.oldestAgeMs, 'ms'),
    ],
    events: news.groups.map((group) => event(group, news)),
  });
}

/** One id for what several hosts tell of the same letters: the bus stores the first of them. */
function packetId({ groups, fresh, deadLetterStream }: AuditNews): string {
  const [newest = ''] = groups.map(({ lastLetterId }) => lastLetterId).sort((a, b) => compareEntryIds(b, a));
  return `dead-letters:${deadLetterStream}:${newest}:${fresh}`;
}

function point(name: string, value: number, unit: string): MetricPoint {
  return MetricPoint.create({ name, value, unit });
}

function event(group: LetterGroup, { level, deadLetterStream }: AuditNews): TelemetryEvent {
  const { code, stream, messageType, count, firstLetterId, lastLetterId, error } = group;
  return TelemetryEvent.create({
    eventId: `dead-letter:${lastLetterId}:${code}`,
    description: `${count} dead ${count === 1 ? 'letter' : 'letters'}: ${code} on ${stream}, ${messageType}`,
    level,
    attributes: {
      code,
      origin_stream: stream,
      message_type: messageType,
      count: String(count),
      first_letter_id: firstLetterId,
      last_letter_id: lastLetterId,
      dead_letter_stream: deadLetterStream,
      error,
    },
  });
}
