import { deepStrictEqual, ok, rejects } from "node:assert";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import fc from "fast-check";
import { stringify } from "csv-stringify/sync";
import { predictTable, type PredictTableOptions } from "./predict_table.ts";

/** Gives `long` to texts of more than five characters. */
const classifier = {
  problemType: "single_label_classification" as const,
  labels: ["short", "long"],
  countTokens: () => ({ tokens: 0, unknown: 0 }),
  lossOf: () => ({ texts: 0, long: 0, tokens: 0, lost: 0 }),
  scores: (texts: readonly string[]) =>
    Promise.resolve(texts.map((text) => text.length > 5 ? [0.25, 0.75] : [0.75, 0.25])),
};

/** Writes a table and gives it back with its predictions, as rows of fields. */
async function predicted(
  content: string | Uint8Array,
  options: PredictTableOptions & { name?: string } = {},
): Promise<string[][]> {
  const dir = await Deno.makeTempDir();
  try {
    const file = join(dir, options.name ?? "in.csv");
    await Deno.writeFile(file, bytesOf(content));
    const parts = await Array.fromAsync(predictTable(classifier, file, options));
    return parse(new TextDecoder().decode(await new Blob(parts as BlobPart[]).bytes()));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function bytesOf(content: string | Uint8Array): Uint8Array {
  return typeof content === "string" ? new TextEncoder().encode(content) : content;
}

Deno.test("predictTable() predicts nothing where it is told to abstain", async () => {
  deepStrictEqual(await predicted("text\na song\n", { abstain: 0.75 }), [
    ["text", "predicted", "score"],
    ["a song", "long", "0.75"],
  ]);
  deepStrictEqual(await predicted("text\na song\n", { abstain: 0.76 }), [
    ["text", "predicted", "score"],
    ["a song", "", "0.75"],
  ]);
});

Deno.test("predictTable() adds what is predicted to the columns that are there", async () => {
  deepStrictEqual(await predicted('id,text,price.usd\n7,a song,1\n8,"pie, ""hot""",2\n'), [
    ["id", "text", "price.usd", "predicted", "score"],
    ["7", "a song", "1", "long", "0.75"],
    ["8", 'pie, "hot"', "2", "long", "0.75"],
  ]);
});

Deno.test("predictTable() takes the column that is named, or the one plainly meant", async () => {
  const notes: string[] = [];
  const onNote = (note: string) => notes.push(note);
  const rows = await predicted("id;Title\n1;pie\n", { onNote });
  deepStrictEqual(rows, [["id", "Title", "predicted", "score"], ["1", "pie", "short", "0.75"]]);
  ok(notes.includes("Texts are in the column 'Title'"), `${notes}`);
  deepStrictEqual(
    (await predicted("text,words\nx,a long one\n", { text: "words" }))[1]![2],
    "long",
  );
  await rejects(predicted("text\nx\n", { text: "no" }), { message: /expected a column 'no'/ });
});

Deno.test("predictTable() names the lines of rows without a text, before it classifies any", async () => {
  let classified = 0;
  const onProgress = () => classified++;
  await rejects(predicted("id,text\n1,pie\n2,\n3, \n", { onProgress }), {
    name: "UserError",
    message:
      /in\.csv' line 3: the text is empty; line 4: the text is empty\. In all 2 rows are bad$/,
  });
  // Where there is one column, a blank line is a row.
  await rejects(predicted("text\npie\n\ncake\n", { onProgress }), {
    message: /in\.csv' line 3: the text is empty$/,
  });
  await rejects(predicted("id,text\n1,pie\n2,x,y\n", { onProgress }), {
    message: /line 3: expected/,
  });
  await rejects(predicted(Uint8Array.of(0x74, 0x65, 0x78, 0x74, 0x0a, 0x70, 0xe9, 0x0a)), {
    message: /line 2: it is not UTF-8/,
  });
  deepStrictEqual(classified, 0);
});

Deno.test("predictTable() carries along what JSON Lines have beside the text", async () => {
  const lines = '{"text": "pie", "meta": {"id": 1}}\n{"text": "cake"}\n';
  deepStrictEqual(await predicted(lines, { name: "in.jsonl" }), [
    ["text", "meta", "predicted", "score"],
    ["pie", '{"id":1}', "short", "0.75"],
    ["cake", "", "short", "0.75"],
  ]);
  await rejects(predicted('{"text": "pie"}\n{"meta": 1}\n', { name: "in.jsonl" }), {
    message: / line 2: expected a column 'text', found 'meta'$/,
  });
});

Deno.test("predictTable() leaves out columns that share a name, and refuses those that it adds", async () => {
  const notes: string[] = [];
  const rows = await predicted("text,,\npie,1,2\n", { onNote: (note) => notes.push(note) });
  deepStrictEqual(rows, [["text", "predicted", "score"], ["pie", "short", "0.75"]]);
  deepStrictEqual(notes, ["Columns that share a name are left out: ''"]);
  await rejects(predicted("text,score\npie,1\n"), { message: /it has a column 'score', which is/ });
});

Deno.test("predictTable() keeps every row of any table, in its order", async () => {
  const field = fc.string({ unit: "grapheme" }).map((text) => text.replaceAll("\r", ""));
  const text = field.filter((text) => text.trim() !== "");
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(text, field), { minLength: 1, maxLength: 20 }),
      async (rows) => {
        const out = await predicted(stringify([["text", "note"], ...rows]), { delimiter: "," });
        deepStrictEqual(out.slice(1).map((row) => row.slice(0, 2)), rows);
      },
    ),
    { numRuns: 50 },
  );
});

Deno.test("predictTable() tells how far it is, and stops when it is told to", async () => {
  const content = `text\n${"a text\n".repeat(2500)}`;
  const seen: number[] = [];
  const rows = await predicted(content, { onProgress: ({ rows }) => seen.push(rows) });
  deepStrictEqual([rows.length, seen], [2501, [0, 512, 1024, 1536, 2048, 2500]]);
  const controller = new AbortController();
  const stop = predicted(content, {
    onProgress: ({ rows }) => rows === 512 && controller.abort(),
    signal: controller.signal,
  });
  await rejects(stop, { name: "AbortError" });
});
