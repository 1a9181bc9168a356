/** Rows of options that many tables of the bus have. */
import { hasMethods, needed, value } from '../core/option-rows.ts';
import type { KeyRing } from '../leyline/key-ring.ts';
import type { BusTransport } from './transport/transport.ts';

export const transportRow = needed<BusTransport>({
  text: 'What carries the messages: Redis Streams between processes and hosts, or the memory of this process.',
  allowed: 'one made by createMemoryTransport or createRedisTransport',
  accepts: hasMethods('append'),
});

/** `otherwise`: what it means that there is none. */
export const keyRingRow = (text: string, otherwise: string) =>
  value<KeyRing | undefined>({
    text,
    allowed: 'a key ring made by createKeyRing',
    ...{ default: undefined, defaultText: otherwise },
    accepts: hasMethods('sign', 'verify'),
  });
