/** What was thrown, or anything else, as text; never throws itself. */
export function textOf(value: unknown): string {
  try {
    return value instanceof Error ? String(value.message) : String(value);
  } catch {
    return '(cannot be made text)';
  }
}
