/**
 * Cuts text into the rows of a delimited table: RFC 4180, with any delimiter and line end, and the
 * quotes of tab-separated files.
 *
 * The parser is Graft's own, as a table may have bad rows: it names all of them, by their lines,
 * and a stray quote does not swallow the rows after it.
 *
 * @module
 */
import { MAX_LINE_BYTES } from "./text_blocks.ts";

/** The delimiters that are looked for in a file, the likeliest first. */
export const DELIMITERS: readonly string[] = [",", ";", "\t", "|"];

/** A row as it stands in the text. */
export interface DelimitedRow {
  /** Its fields; none where the row is bad. */
  fields: string[];
  /** The line on which it begins, counted from 1. */
  line: number;
  /** The number of lines that it takes. */
  lines: number;
  /** The rule that it breaks, where it does. */
  fault?: string;
}

/** A row, and its end in the text. */
type ParsedRow = Omit<DelimitedRow, "line"> & { end: number };

/** The distance in which a quoted field of tab-separated text must end, as most quotes are text. */
const MAX_TABBED_FIELD = 2 ** 20;

const STRAY_QUOTE =
  "a quote stands inside a field; fields with quotes must be quoted and double them";
const OPEN_QUOTE = "a quote is opened and never closed";
const LONG_ROW = "the row is longer than 16 MiB; a quote may be opened and never closed";

/** Cuts a table into rows; skips blank lines, unless there is one column, where each is a row. */
export class DelimitedRows {
  /** The delimiter between two fields. */
  readonly delimiter: string;
  readonly #blocks: AsyncIterator<string>;
  /** The next places of the characters that end a field without quotes. */
  readonly #fieldEnds: readonly [NextPlace, NextPlace, NextPlace];
  /** The text that has been read; from `#at` on it is not cut yet. */
  #text = "";
  #at = 0;
  /** Whether there is no more to read. */
  #isWhole = false;
  #line: number;
  /** The number of fields of the first row, which tells tab-separated rows from lines of text. */
  #width: number | undefined;

  /**
   * @param blocks The text, whole lines at a time.
   * @param delimiter One character.
   * @param firstLine The number of the first line.
   */
  constructor(blocks: AsyncIterator<string>, delimiter: string, firstLine = 1) {
    this.#blocks = blocks;
    this.delimiter = delimiter;
    this.#line = firstLine;
    this.#fieldEnds = [new NextPlace(delimiter), new NextPlace("\n"), new NextPlace("\r")];
  }

  /** The next row; `undefined` at the end. */
  async next(): Promise<DelimitedRow | undefined> {
    for (;;) {
      const row = this.take();
      if (row !== undefined) return row;
      if (this.#isWhole) return undefined;
      const { value, done } = await this.#blocks.next();
      this.#isWhole = done === true;
      this.#text = this.#text.slice(this.#at) + (value ?? "");
      this.#at = 0;
      for (const place of this.#fieldEnds) place.forget();
    }
  }

  /** The next row, if it has been read whole; spares a million rows the waiting. */
  take(): DelimitedRow | undefined {
    while (this.#at < this.#text.length) {
      const isBlank = isLineEnd(this.#text, this.#at);
      const parsed = this.delimiter === "\t" ? this.#tabbedRow() : this.#quotedRow();
      if (parsed === undefined) return undefined;
      const { end, ...row } = parsed;
      const line = this.#line;
      this.#line += row.lines;
      this.#at = end;
      if (isBlank && this.#width !== 1) continue;
      this.#width ??= row.fields.length;
      return { ...row, line };
    }
    return undefined;
  }

  /** A row in which a field that begins with a quote ends with one, on whatever line that is. */
  #quotedRow(): ParsedRow | undefined {
    const row = this.#parseQuoted();
    if (row !== undefined) return row;
    if (this.#text.length - this.#at > MAX_LINE_BYTES) return this.#badLine(LONG_ROW);
    return this.#isWhole ? this.#badLine(OPEN_QUOTE) : undefined;
  }

  /** Parses a row; `undefined` where a quote is not closed in the text that there is. */
  #parseQuoted(): ParsedRow | undefined {
    const text = this.#text;
    const fields: string[] = [];
    let lines = 1;
    for (let at = this.#at;;) {
      let end: number;
      if (text[at] === '"') {
        const close = closingQuote(text, at);
        if (close < 0) return undefined;
        const field = text.slice(at + 1, close);
        lines += lineEndsIn(field);
        end = close + 1;
        if (!this.#endsField(end)) {
          return this.#badLine(
            lines === 1
              ? STRAY_QUOTE
              : `a quote is opened, and the next, in line ${this.#line + lines - 1}, ends no field`,
          );
        }
        fields.push(field.replaceAll('""', '"'));
      } else {
        const [delimiter, lineFeed, carriageReturn] = this.#fieldEnds;
        end = Math.min(
          delimiter.from(text, at),
          lineFeed.from(text, at),
          carriageReturn.from(text, at),
        );
        const field = text.slice(at, end);
        const isStray = this.delimiter !== "\t" && field.includes('"');
        if (isStray) return this.#badLine(STRAY_QUOTE);
        fields.push(field);
      }
      if (text[end] !== this.delimiter) return { fields, lines, end: afterLineEnd(text, end) };
      at = end + 1;
    }
  }

  #endsField(at: number): boolean {
    return at === this.#text.length || this.#text[at] === this.delimiter ||
      isLineEnd(this.#text, at);
  }

  /** A line that is no row; the next row begins after it, whatever its quotes are. */
  #badLine(fault: string): ParsedRow {
    const end = afterLineEnd(this.#text, lineEnd(this.#text, this.#at));
    return { fields: [], lines: 1, end, fault };
  }

  /**
   * A row of a tab-separated table, where a quote is text unless a whole field is properly quoted.
   * Such a field goes over several lines only where these are not rows by themselves: a text that
   * begins with a quote and another that ends with one stay apart.
   */
  #tabbedRow(): ParsedRow | undefined {
    const { opensQuote, ...row } = this.#tabbedLine(this.#at);
    const width = this.#width ?? row.fields.length;
    if (!opensQuote) return row;
    const quoted = this.#parseQuoted();
    if (quoted === undefined && !this.#isWhole) {
      if (this.#text.length - this.#at < MAX_TABBED_FIELD) return undefined;
    }
    if (quoted?.fields.length !== width) return row;
    for (let at = this.#at; at < quoted.end;) {
      const { fields, end } = this.#tabbedLine(at);
      if (fields.length !== width) return quoted;
      at = end;
    }
    return row;
  }

  /** One line as a row, and whether its last field begins with a quote that it does not close. */
  #tabbedLine(start: number): ParsedRow & { opensQuote: boolean } {
    const text = this.#text;
    const last = lineEnd(text, start);
    const fields: string[] = [];
    let opensQuote = false;
    for (let at = start; at <= last;) {
      const isQuote = text[at] === '"';
      const close = isQuote ? closingQuote(text, at) : -1;
      if (close >= 0 && close < last && this.#endsField(close + 1)) {
        fields.push(text.slice(at + 1, close).replaceAll('""', '"'));
        at = close + 2;
        opensQuote = false;
        continue;
      }
      const tab = text.indexOf("\t", at);
      const end = tab < 0 || tab > last ? last : tab;
      fields.push(text.slice(at, end));
      opensQuote = isQuote;
      at = end + 1;
    }
    return { fields, lines: 1, end: afterLineEnd(text, last), opensQuote };
  }
}

/** Finds the next place of a character, and searches a text for it only once. */
class NextPlace {
  readonly #character: string;
  #from = Infinity;
  #place = 0;

  constructor(character: string) {
    this.#character = character;
  }

  /** Forgets the text, as another will be searched. */
  forget(): void {
    this.#from = Infinity;
  }

  /** The first place from `at` on; the text's length if there is none. */
  from(text: string, at: number): number {
    if (at < this.#from || at > this.#place) {
      const found = text.indexOf(this.#character, at);
      this.#from = at;
      this.#place = found < 0 ? text.length : found;
    }
    return this.#place;
  }
}

/** The place of the quote that closes the one at `open`, or -1; quotes inside are doubled. */
function closingQuote(text: string, open: number): number {
  let close = text.indexOf('"', open + 1);
  while (close >= 0 && text[close + 1] === '"') close = text.indexOf('"', close + 2);
  return close;
}

function isLineEnd(text: string, at: number): boolean {
  return text[at] === "\n" || text[at] === "\r";
}

const LINE_END = /\r\n|\n|\r/g;

/** The end of the line, before its `\r\n`, `\n` or `\r`. */
function lineEnd(text: string, from: number): number {
  LINE_END.lastIndex = from;
  return LINE_END.exec(text)?.index ?? text.length;
}

/** The start of the next line after a line that ends at `at`. */
function afterLineEnd(text: string, at: number): number {
  return text[at] === "\r" && text[at + 1] === "\n" ? at + 2 : Math.min(at + 1, text.length);
}

function lineEndsIn(text: string): number {
  return text.match(LINE_END)?.length ?? 0;
}
