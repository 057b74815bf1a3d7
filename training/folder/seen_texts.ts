/**
 * The texts that a run was trained on, as digests in its folder: they tell the seen texts of an
 * evaluation wherever the run lies, without its data.
 *
 * @module
 */
import { hash } from "node:crypto";
import { join } from "node:path";
import { checkRegular, exists, writeFileAtomically } from "../../lib/files.ts";
import { UserError } from "../../lib/user_error.ts";

const FILE = "training_texts.bin";

/** Texts that can be asked for one by one. */
export type SeenTexts = Pick<ReadonlySet<string>, "has">;

/** The first 8 bytes of a text's SHA-256. */
function digestOf(text: string): bigint {
  return BigInt(`0x${hash("sha256", text).slice(0, 16)}`);
}

/** Writes the digests of texts into the folder of a run, in ascending order, little-endian. */
export async function writeSeenTexts(dir: string, texts: Iterable<string>): Promise<void> {
  const digests = new BigUint64Array(new Set(Array.from(texts, digestOf))).sort();
  await writeFileAtomically(join(dir, FILE), new Uint8Array(digests.buffer));
}

/**
 * Reads what {@link writeSeenTexts} has written; `undefined` if there is no such file.
 *
 * @throws {UserError} If the file is damaged.
 */
export async function readSeenTexts(dir: string): Promise<SeenTexts | undefined> {
  const path = join(dir, FILE);
  if (!await exists(path)) return undefined;
  await checkRegular(path);
  const { buffer, length } = await Deno.readFile(path);
  if (length % BigUint64Array.BYTES_PER_ELEMENT !== 0) {
    throw new UserError(`Cannot read '${path}': expected 8 bytes a text, got ${length} in all`);
  }
  const digests = new Set(new BigUint64Array(buffer));
  return { has: (text) => digests.has(digestOf(text)) };
}
