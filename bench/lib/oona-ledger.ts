import type { Report } from './report.ts';

/** What had to be stored or delivered, and what was: a fast bus that loses or doubles messages has measured nothing. */
export class Ledger {
  readonly #findings: string[] = [];
  #expected = 0;
  #counted = 0;

  check(what: string, expected: number, counted: number): void {
    this.#expected += expected;
    this.#counted += counted;
    if (expected !== counted) this.#findings.push(`${what}: ${counted} of ${expected}`);
  }

  /** Into the results and on the screen. False when anything was missing or came twice. */
  tell(report: Report): boolean {
    report.results.messages_expected_count = this.#expected;
    report.results.messages_counted_count = this.#counted;
    report.results.messages_wrong_count = this.#findings.length;
    const total = this.#expected.toLocaleString('en-US');
    console.log(
      `\nCounted: ${this.#counted.toLocaleString('en-US')} of ${total} messages stored or delivered`,
    );
    for (const finding of this.#findings) console.log(`  WRONG ${finding}`);
    return this.#findings.length === 0;
  }
}
