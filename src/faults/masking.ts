/** Keeps what must stay secret out of events: they end in logs, on the bus and on pages. */

export const MASKED = '***';

/** `authToken`, `X-Api-Key` and `REDIS_PASSWORD` look alike after this. */
const words = (key: string): string => key.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase();

const SECRET_KEY =
  /secret|passw|passphrase|(?:^|[^a-z])pwd|token|authori[sz]ation|credential|cookie|bearer|(?:api|access|private|signing|encryption)[^a-z]?key|session[^a-z]?id|(?:^|[^a-z])auth(?:$|[^a-z])/;

/** True for a name whose value is usually a secret. A number under `tokens` is none: limiters and models count them. */
export function isSecretKey(key: string, value: unknown): boolean {
  const name = words(key);
  if (!SECRET_KEY.test(name)) return false;
  const isCount = typeof value === 'number' || typeof value === 'bigint';
  return !(isCount && /tokens|token[^a-z]?count/.test(name));
}

/** Everything before the @ of scheme://user:password@host, of several hosts too. */
const URL_USER = /(\b[a-z][a-z0-9+.-]{0,30}:\/\/)[^\s/?#"'<>]*@/gi;
/** The same of a text that was cut before its @. */
const URL_USER_CUT = /(\b[a-z][a-z0-9+.-]{0,30}:\/\/)[^\s/?#"'<>@]*:[^\s/?#"'<>@]*$/i;
const BEARER = /\b(bearer)\s+[\w.~+/=-]{8,}/gi;
/** A header of cookies, to the end of its line: each of them may be a session. */
const COOKIES = /\b((?:set-)?cookie:\s*)[^\r\n"]+/gi;
const NAMES = 'password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|authorization|signature';
/** `password="two words"`, and the same in JSON, also in JSON that is a string of another. */
const QUOTED = new RegExp(
  `((?:${NAMES})\\\\*["']?\\s*[=:]\\s*(\\\\*)(["']))(?:(?!(?<!\\\\)\\2\\3)[^])*`,
  'gi',
);
const ASSIGNED = new RegExp(
  `((?:(?:${NAMES})\\\\*["']?\\s*[=:]|[?&](?:key|sig)=|(?<![\\w-])--?(?:${NAMES})\\s)\\s*)(?:(?:bearer|basic|digest)\\s+)?[^\\s&"'\\\\,;)}\\]]+`,
  'gi',
);
/** A signed token by its look: it opens what it is for, whatever it is called. */
const JWT = /\beyJ[\w-]{6,}\.[\w-]+\.[\w-]*/g;
const PRIVATE_KEY = /(-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----)[^-]+/g;

/** The text with passwords in URLs, authorization headers, tokens, private keys and `password=…` masked. */
export function maskText(text: string, wasCut = false): string {
  // Most texts have none of it; one look is cheaper than the replacements.
  if (!/:\/\/|bearer|[=:]|\s--?\w|eyJ|-----B/i.test(text)) return text;
  const masked = text
    .replace(URL_USER, `$1${MASKED}@`)
    .replace(BEARER, `$1 ${MASKED}`)
    .replace(COOKIES, `$1${MASKED}`)
    .replace(QUOTED, `$1${MASKED}`)
    .replace(ASSIGNED, `$1${MASKED}`)
    .replace(JWT, MASKED)
    .replace(PRIVATE_KEY, `$1${MASKED}`);
  return wasCut ? masked.replace(URL_USER_CUT, `$1${MASKED}`) : masked;
}
