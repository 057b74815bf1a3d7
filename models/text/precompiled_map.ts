/**
 * SentencePiece's map from characters to what they are read as, for example `ﬁ` to `fi`: a double-array
 * trie over UTF-8 (Aoe, 1989, as in Yata's Darts-clone), and the replacements that it points to.
 *
 * @module
 */

const UNIT_BYTES = 4;
/** The longest cluster in bytes; longer ones are read character by character. */
const MAX_CLUSTER_BYTES = 5;
/** The most clusters whose reading is remembered. */
const MAX_REMEMBERED = 2 ** 16;
/**
 * Characters that may form a cluster with the letter before them, or after one of the signs that
 * belong to what follows; other ASCII characters stand alone.
 */
const CLUSTERED =
  /[ -~]?[^ -~]+(?:(?<=[\u0600-\u0605\u06DD\u070F\u08E2\u0D4E\u{110BD}\u{111C2}\u{111C3}])[ -~][^ -~]*)*/gu;

/**
 * The function that a map describes.
 *
 * @param base64 The `precompiled_charsmap` of a tokenizer's file.
 * @throws {Error} If it is not such a map; the message says why.
 */
export function precompiledMap(base64: string): (text: string) => string {
  const { units, replacements } = decode(base64);
  const clusters = new Intl.Segmenter("und", { granularity: "grapheme" });
  const encoder = new TextEncoder();
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

  /** The replacement of the shortest prefix of `bytes` that the trie contains. */
  function replacementOf(bytes: Uint8Array): string | undefined {
    let place = offsetOf(units[0]!);
    for (const byte of bytes) {
      // Zero ends a key.
      if (byte === 0) return undefined;
      place ^= byte;
      const unit = units[place];
      if (unit === undefined || labelOf(unit) !== byte) return undefined;
      place ^= offsetOf(unit);
      if (!hasLeaf(unit)) continue;
      const start = (units[place] ?? 0) & 0x7FFFFFFF;
      const end = replacements.indexOf(0, start);
      return decoder.decode(replacements.subarray(start, end));
    }
    return undefined;
  }

  function read(cluster: string): string {
    const bytes = encoder.encode(cluster);
    const whole = bytes.length <= MAX_CLUSTER_BYTES ? replacementOf(bytes) : undefined;
    if (whole !== undefined) return whole;
    return Array.from(cluster, (character) => {
      return replacementOf(encoder.encode(character)) ?? character;
    }).join("");
  }

  const remembered = new Map<string, string>();
  function readOnce(cluster: string): string {
    let reading = remembered.get(cluster);
    if (reading === undefined) {
      reading = read(cluster);
      if (remembered.size >= MAX_REMEMBERED) remembered.clear();
      remembered.set(cluster, reading);
    }
    return reading;
  }

  const ascii = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));
  const keepsAscii = ascii.every((character) => read(character) === character);
  return (text) => {
    const whole = keepsAscii ? CLUSTERED : /^.+$/gsu;
    return text.replace(whole, (run) => {
      let read = "";
      for (const { segment } of clusters.segment(run)) read += readOnce(segment);
      return read;
    });
  };
}

/** The byte that leads to a unit; no byte if it is a leaf. */
function labelOf(unit: number): number {
  return (unit & 0x800000FF) >>> 0;
}

function hasLeaf(unit: number): boolean {
  return (unit >>> 8 & 1) === 1;
}

/** The offset of a unit's children; their place is its exclusive or with the unit's place. */
function offsetOf(unit: number): number {
  return unit >>> 10 << ((unit & 0x200) >>> 6);
}

/** The size of the trie in bytes, the trie, and the replacements, each ended by a zero. */
function decode(base64: string): { units: Uint32Array; replacements: Uint8Array } {
  const bytes = bytesOf(base64);
  const size = bytes.length < UNIT_BYTES ? 0 : new DataView(bytes.buffer).getUint32(0, true);
  const end = UNIT_BYTES + size;
  if (size === 0 || size % UNIT_BYTES !== 0 || end >= bytes.length || bytes.at(-1) !== 0) {
    throw new Error("it is not a map of SentencePiece");
  }
  const replacements = bytes.subarray(end);
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(replacements);
  } catch {
    throw new Error("its replacements are not UTF-8");
  }
  const view = new DataView(bytes.buffer, UNIT_BYTES, size);
  const units = Uint32Array.from(
    { length: size / UNIT_BYTES },
    (_, i) => view.getUint32(UNIT_BYTES * i, true),
  );
  return { units, replacements };
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.fromBase64(base64);
  } catch {
    throw new Error("it is not base64");
  }
}
