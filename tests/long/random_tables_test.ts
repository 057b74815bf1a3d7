/**
 * Ten thousand random tables: each comes out as it was written, or is refused with the right line.
 *
 * @module
 */
import { deepStrictEqual, rejects } from "node:assert";
import { join } from "node:path";
import fc from "fast-check";
import { readRows } from "../../data/table.ts";

const RUNS = 10_000;

type Encoding = "utf-8" | "utf-8 with a mark" | "utf-16le" | "utf-16be" | "windows-1252";

/** Characters that windows-1252 has, too. */
const NARROW = ["a", "b", " ", ",", ";", "\t", "|", '"', '""', "\n", "\r\n", "\r", "é", "ß", "€"];
const WIDE = [...NARROW, "日", "😀", "\u0a0a", "\u200b"];

const table = fc.record({
  delimiter: fc.constantFrom(",", ";", "\t", "|"),
  isGiven: fc.boolean(),
  lineEnd: fc.constantFrom("\n", "\r\n", "\r"),
  endsWithLineEnd: fc.boolean(),
  quotesAll: fc.boolean(),
  encoding: fc.constantFrom<Encoding>(
    "utf-8",
    "utf-8 with a mark",
    "utf-16le",
    "utf-16be",
    "windows-1252",
  ),
  blankLines: fc.boolean(),
  width: fc.integer({ min: 2, max: 5 }),
}).chain((form) => {
  const unit = fc.constantFrom(...form.encoding === "windows-1252" ? NARROW : WIDE);
  const field = fc.array(unit, { maxLength: 6 }).map((units) => units.join(""))
    // Lines of a field that are rows by themselves cannot be told from rows.
    .map((text) =>
      form.delimiter === "\t" && /[\r\n]/.test(text) ? text.replaceAll("\t", "") : text
    );
  const row = fc.array(field, { minLength: form.width, maxLength: form.width });
  return fc.record({
    form: fc.constant(form),
    rows: fc.array(row, { minLength: 1, maxLength: 6 }),
    /** A row that is spoilt, and how. */
    fault: fc.option(fc.record({
      row: fc.nat(5),
      kind: fc.constantFrom("too wide", "too narrow", "stray quote"),
    })),
  });
});

type RandomTable = typeof table extends fc.Arbitrary<infer Value> ? Value : never;

/** The file, on which line each row begins, and on which the fault is. */
function written({ form, rows, fault }: RandomTable) {
  const { delimiter, lineEnd, quotesAll } = form;
  const isTabbed = delimiter === "\t";
  const field = (text: string, isLast: boolean) => {
    const mustQuote = quotesAll || text.includes(delimiter) || /[\r\n]/.test(text) ||
      (isTabbed ? text.startsWith('"') : text.includes('"')) ||
      // An empty field alone on its line would be a blank line.
      (isLast && text === "");
    return mustQuote ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const line = (fields: readonly string[]) =>
    fields.map((text, i) => field(text, i === fields.length - 1)).join(delimiter);
  const names = ["text", "label", "c", "d", "e"].slice(0, form.width);
  let text = line(names);
  const lines: number[] = [];
  let faultLine: number | undefined;
  for (const [i, fields] of rows.entries()) {
    text += lineEnd + (form.blankLines ? lineEnd : "");
    lines.push((text.match(/\r\n|\n|\r/g)?.length ?? 0) + 1);
    if (fault === null || fault.row % rows.length !== i) {
      text += line(fields);
      continue;
    }
    faultLine = lines.at(-1)!;
    const plain = new Array<string>(form.width).fill("x");
    if (fault.kind === "too narrow") text += line(plain.slice(1));
    else if (fault.kind === "stray quote" && !isTabbed) text += `x"y${delimiter}${line(plain)}`;
    else text += line([...plain, "x"]);
  }
  if (form.endsWithLineEnd) text += lineEnd;
  return { text, names, lines, faultLine };
}

function encoded(text: string, encoding: Encoding): Uint8Array {
  switch (encoding) {
    case "utf-8":
      return new TextEncoder().encode(text);
    case "utf-8 with a mark":
      return new TextEncoder().encode(`\uFEFF${text}`);
    case "windows-1252":
      return Uint8Array.from(text, (letter) => letter === "€" ? 0x80 : letter.charCodeAt(0));
    default: {
      const units = Array.from({ length: text.length }, (_, i) => text.charCodeAt(i));
      return Uint8Array.from([0xfeff, ...units].flatMap((unit) => {
        const bytes = [unit & 0xff, unit >> 8];
        return encoding === "utf-16le" ? bytes : bytes.reverse();
      }));
    }
  }
}

Deno.test("readRows() gives random tables as they were written, or the line of their fault", async () => {
  const dir = await Deno.makeTempDir();
  try {
    await fc.assert(
      fc.asyncProperty(table, async (random) => {
        const { form, rows } = random;
        const { text, names, lines, faultLine } = written(random);
        const file = join(dir, `random${form.delimiter === "\t" ? ".tsv" : ".csv"}`);
        Deno.writeFileSync(file, encoded(text, form.encoding));
        const reading = Array.fromAsync(readRows(file, names, {
          delimiter: form.isGiven ? form.delimiter : undefined,
          encoding: form.encoding === "windows-1252" ? form.encoding : undefined,
        }));
        if (faultLine !== undefined) {
          await rejects(reading, {
            name: "UserError",
            message: new RegExp(` line ${faultLine}: `),
          });
          return;
        }
        deepStrictEqual(
          await reading,
          rows.map((fields, i) => ({
            values: Object.fromEntries(names.map((name, column) => [name, fields[column]!])),
            line: lines[i]!,
          })),
        );
      }),
      { numRuns: RUNS },
    );
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
