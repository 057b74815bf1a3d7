import { deepStrictEqual, throws } from "node:assert";
import { columnsNote, DEFAULT_COLUMNS, findColumns, parseColumnMapping } from "./columns.ts";

for (
  const [mapping, text, label] of [
    [undefined, "text", "label"],
    ["text=title,label=category", "title", "category"],
    ["label=a=b", "text", "a=b"],
    [" text = the title ", "the title", "label"],
  ] as const
) {
  Deno.test(`parseColumnMapping() reads ${mapping}`, () => {
    deepStrictEqual(parseColumnMapping(mapping), { text, label });
  });
}

for (const mapping of ["", "title", "txt=title", "text=", "text=a,,label=b"]) {
  Deno.test(`parseColumnMapping() refuses '${mapping}'`, () => {
    throws(() => parseColumnMapping(mapping), {
      name: "UserError",
      message: `Cannot use the column mapping ${mapping}: expected text=COLUMN,label=COLUMN`,
    });
  });
}

for (
  const [header, text, label] of [
    [["label", "text"], "text", "label"],
    [["id", "Review", "Sentiment"], "Review", "Sentiment"],
    [["title", "text", "category"], "text", "category"],
    [["TEXT", "title", "topic"], "TEXT", "topic"],
    [["ID", "Review Text", "Class-Label"], "Review Text", "Class-Label"],
    [["sentence", "label", "class"], "sentence", "label"],
  ] as const
) {
  Deno.test(`findColumns() guesses them of ${header.join(", ")}`, () => {
    deepStrictEqual(findColumns("a.csv", header, DEFAULT_COLUMNS), { text, label });
  });
}

for (
  const [header, columns, rule] of [
    [
      ["title", "body", "label"],
      DEFAULT_COLUMNS,
      "the text may be in 'title' or 'body': choose with --text",
    ],
    [
      ["x", "label"],
      DEFAULT_COLUMNS,
      "expected a column 'text', found 'x', 'label': name yours with --text",
    ],
    [
      ["title", "body", "x"],
      DEFAULT_COLUMNS,
      "expected columns 'text' and 'label', found 'title', 'body', 'x': name yours with --text and " +
      "--label",
    ],
    [
      ["text^label"],
      DEFAULT_COLUMNS,
      "expected columns 'text' and 'label', found 'text^label': name yours with --text and " +
      "--label, or what stands between the columns with --delimiter",
    ],
    [
      ["The printer does not print", "IT"],
      DEFAULT_COLUMNS,
      "expected columns 'text' and 'label', found 'The printer does not print', 'IT': name yours " +
      "with --text and --label, or add a header line if this one is a row",
    ],
    [
      ["title", "label"],
      { text: "texts", label: "label" },
      "expected a column 'texts', found 'title', 'label'",
    ],
  ] as const
) {
  Deno.test(`findColumns() refuses ${header.join(", ")} for ${columns.text}`, () => {
    throws(() => findColumns("a.csv", header, columns), {
      name: "UserError",
      message: `Cannot read 'a.csv': ${rule}`,
    });
  });
}

Deno.test("columnsNote() says nothing of the defaults", () => {
  deepStrictEqual(columnsNote(DEFAULT_COLUMNS), undefined);
  deepStrictEqual(
    columnsNote({ text: "Review", label: "label" }),
    "Texts are in the column 'Review', labels in 'label'",
  );
});
