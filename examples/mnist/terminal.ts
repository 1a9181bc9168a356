import { stripVTControlCharacters, styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

/** Colours only where somebody sees them: a pipe, `NO_COLOR` or a dumb terminal gets plain text. */
const colourful = process.stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb';

export function paint(style: Style, text: string): string {
  return colourful ? styleText(style, text, { validateStream: false }) : text;
}

export function print(line = ''): void {
  process.stdout.write(`${line}\n`);
}

/** `value` of 0 to 1 as a bar of `width` cells. */
export function bar(value: number, width: number): string {
  const full = Math.round(Math.min(1, Math.max(0, value)) * width);
  return '█'.repeat(full) + '░'.repeat(width - full);
}

/** A loss to four digits while it is a loss, short when it has exploded. */
export function formatLoss(loss: number): string {
  if (!Number.isFinite(loss)) return String(loss);
  return loss < 1000 ? loss.toFixed(4) : loss.toLocaleString('en', { maximumFractionDigits: 0 });
}

/** A rate without the noise of binary fractions: 0.125, 250. */
export function formatRate(rate: number): string {
  return String(Number(rate.toPrecision(4)));
}

/** A latency with the unit that a person would choose. */
export function formatLatency(milliseconds: number): string {
  if (milliseconds < 1) return `${Math.round(milliseconds * 1000)} µs`;
  return milliseconds < 10 ? `${milliseconds.toFixed(2)} ms` : `${milliseconds.toFixed(0)} ms`;
}

export interface Column {
  readonly title: string;
  readonly align: 'left' | 'right';
}

/** Columns as wide as their widest cell, two spaces between; the title row is dimmed. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const widths = columns.map((column, index) =>
    Math.max(visibleLength(column.title), ...rows.map((row) => visibleLength(row[index] ?? ''))),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, index) => pad(cell, widths[index]!, columns[index]!.align))
      .join('  ')
      .trimEnd();
  return [paint('dim', line(columns.map((column) => column.title))), ...rows.map(line)];
}

function visibleLength(text: string): number {
  return stripVTControlCharacters(text).length;
}

function pad(cell: string, width: number, align: Column['align']): string {
  const space = ' '.repeat(Math.max(0, width - visibleLength(cell)));
  return align === 'left' ? cell + space : space + cell;
}
