import { deepStrictEqual, strictEqual } from "node:assert";
import fc from "fast-check";
import { decodeBytesTensor, encodeTensor } from "./binary_tensors.ts";

Deno.test("decodeBytesTensor() gives the texts that encodeTensor() was given", () => {
  const texts = fc.array(fc.string({ unit: "grapheme" }).filter((text) => text.isWellFormed()));
  fc.assert(fc.property(texts, (data) => {
    const elements = decodeBytesTensor(encodeTensor({ datatype: "BYTES", data }))!;
    deepStrictEqual(elements.map((element) => new TextDecoder().decode(element)), data);
  }));
});

Deno.test("decodeBytesTensor() gives nothing of what is cut off, or longer than it says", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 30 }), (bytes) => {
    const elements = decodeBytesTensor(bytes);
    const size = elements?.reduce((sum, element) => sum + 4 + element.length, 0);
    strictEqual(size ?? bytes.length, bytes.length);
  }));
  const whole = encodeTensor({ datatype: "BYTES", data: ["a duet", "bread"] });
  for (let length = 1; length < whole.length; length++) {
    const elements = decodeBytesTensor(whole.subarray(0, length));
    strictEqual(elements?.length, length === 10 ? 1 : undefined, `${length} bytes`);
  }
});

Deno.test("encodeTensor() writes numbers with their lowest byte first", () => {
  const bytes = encodeTensor({ datatype: "FP32", data: [1, -0.5] });
  deepStrictEqual([...bytes], [0, 0, 0x80, 0x3f, 0, 0, 0, 0xbf]);
});
