import type { Report } from './report.ts';

/** How a ledger names what it counts: the prefix of its results, and in words. */
export interface LedgerNames {
  readonly key: string;
  readonly text: string;
}

const MESSAGES: LedgerNames = { key: 'messages', text: 'messages stored or delivered' };

/** What had to be stored or delivered, and what was: a fast bus that loses or doubles messages has measured nothing. */
export class Ledger {
  readonly #names: LedgerNames;
  readonly #findings: string[] = [];
  #expected = 0;
  #counted = 0;

  constructor(names = MESSAGES) {
    this.#names = names;
  }

  check(what: string, expected: number, counted: number): void {
    this.#expected += expected;
    this.#counted += counted;
    if (expected !== counted) this.#findings.push(`${what}: ${counted} of ${expected}`);
  }

  /** Into the results and on the screen. False when anything was missing or came twice. */
  tell(report: Report): boolean {
    const { key, text } = this.#names;
    report.results[`${key}_expected_count`] = this.#expected;
    report.results[`${key}_counted_count`] = this.#counted;
    report.results[`${key}_wrong_count`] = this.#findings.length;
    const total = this.#expected.toLocaleString('en-US');
    console.log(`\nCounted: ${this.#counted.toLocaleString('en-US')} of ${total} ${text}`);
    for (const finding of this.#findings) console.log(`  WRONG ${finding}`);
    return this.#findings.length === 0;
  }
}
