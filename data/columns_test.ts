import { deepStrictEqual, throws } from "node:assert";
import { parseColumnMapping } from "./columns.ts";

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
      message: `Cannot use --column-mapping ${mapping}: expected text=COLUMN,label=COLUMN`,
    });
  });
}
