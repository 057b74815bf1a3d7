/**
 * The rows of a table that break a rule.
 *
 * @module
 */
import { count } from "../lib/format.ts";
import { readError } from "./text_blocks.ts";

/** The most rows that are named. */
const NAMED_ROWS = 10;

/** A row that breaks a rule. */
export interface BadRow {
  /** The line on which it begins, counted from 1. */
  line: number;
  /** The rule and the value that breaks it. */
  fault: string;
}

/** Gathers the bad rows of a file, so that a user hears of all of them at once. */
export class BadRows {
  readonly #file: string;
  readonly #first: BadRow[] = [];
  #count = 0;

  constructor(file: string) {
    this.#file = file;
  }

  /** The number of bad rows. */
  get count(): number {
    return this.#count;
  }

  /** The first ten bad rows. */
  get first(): readonly BadRow[] {
    return this.#first;
  }

  /** Adds a bad row. */
  add(line: number, fault: string): void {
    if (this.#count++ < NAMED_ROWS) this.#first.push({ line, fault });
  }

  /** A note, in a line, that the bad rows were left out. */
  note(): string {
    const named = this.#first.map(({ line, fault }) => `line ${line}: ${fault}`).join("; ");
    const more = this.#count > NAMED_ROWS ? "; …" : "";
    return `${count(this.#count)} bad ${this.#count === 1 ? "row is" : "rows are"} left out: ` +
      named + more;
  }

  /**
   * @param wayOn The advice to the user on several bad rows: the end of the error's sentence.
   * @param wayOnOfOne The same on one bad row.
   * @throws {UserError} If there is a bad row; the message names the first ten and says how many.
   */
  check(
    wayOn =
      ": correct them, or have one table split by 'train', where --skip-bad-rows leaves them out",
    wayOnOfOne = "",
  ): void {
    const [{ line, fault } = {}, ...others] = this.#first;
    if (line === undefined || fault === undefined) return;
    if (others.length === 0) throw readError(this.#file, fault + wayOnOfOne, line);
    throw readError(
      this.#file,
      `${fault}${others.map((row) => `; line ${row.line}: ${row.fault}`).join("")}. ` +
        `In all ${count(this.#count)} rows are bad${wayOn}`,
      line,
    );
  }
}
