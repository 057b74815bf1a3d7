/**
 * Damages valid files at random and has them read, for some minutes: a reader takes what it can, or
 * refuses it with a `UserError`: `deno task fuzz tokenizer --minutes 10`.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readRows } from "../data/table.ts";
import { UserError } from "../lib/user_error.ts";
import { Random } from "../lib/random.ts";
import { readConfig } from "../models/family.ts";
import { decodeSafetensors, encodeSafetensors } from "../models/formats/safetensors.ts";
import { Tokenizer } from "../models/text/tokenizer.ts";

const BUNDLED = fileURLToPath(new URL("../models/bundled", import.meta.url));
const TEXTS = ["", "a duet", "Straße \u{1F600} e\u0301", "[CLS] x [SEP]", "a".repeat(300)];
/** One file takes no more of the processor's time. */
const MAX_CPU_MS = 5000;

/** A valid file, and its reader. */
interface Target {
  seeds: Uint8Array[];
  read: (bytes: Uint8Array, dir: string) => Promise<void>;
}

const encoder = new TextEncoder();
const file = (name: string) => Deno.readFile(join(BUNDLED, name));
const TARGETS: Record<string, () => Target | Promise<Target>> = {
  safetensors() {
    const data = Float32Array.of(1, 2, 3, 4, 5, 6);
    const tensors = new Map([["a", { shape: [2, 3], data }], ["b", { shape: [6], data }]]);
    return {
      seeds: [encodeSafetensors({ tensors, metadata: { format: "pt" } })],
      // deno-lint-ignore require-await
      read: async (bytes) => void decodeSafetensors(bytes, "file"),
    };
  },
  async config() {
    return {
      seeds: [await file("config.json")],
      read: async (bytes, dir) => {
        await Deno.writeFile(join(dir, "config.json"), bytes);
        await readConfig(dir);
      },
    };
  },
  async tokenizer() {
    const json = JSON.parse(new TextDecoder().decode(await file("tokenizer.json")));
    const few = Object.entries(json.model.vocab as Record<string, number>)
      .filter(([token, id]) => id < 5 || /^[\[\]a-z]+$/.test(token)).slice(0, 60);
    json.model.vocab = Object.fromEntries(few.map(([token], id) => [token, id]));
    const config = await file("tokenizer_config.json");
    return {
      seeds: [encoder.encode(JSON.stringify(json))],
      read: async (bytes, dir) => {
        await Deno.writeFile(join(dir, "tokenizer.json"), bytes);
        await Deno.writeFile(join(dir, "tokenizer_config.json"), config);
        const tokenizer = await Tokenizer.load(dir);
        for (const text of TEXTS) tokenizer.encode(text);
      },
    };
  },
  table() {
    return {
      seeds: [
        'text,label\n"a, b",x\n"c ""d""",y\r\ne,z\n',
        "text\tlabel\na\tx\n",
        '{"text": "a", "label": "x"}\n{"text": "b", "label": ["y", "z"]}\n',
      ].map((text) => encoder.encode(text)),
      read: async (bytes, dir) => {
        for (const name of ["table.csv", "table.tsv", "table.jsonl"]) {
          await Deno.writeFile(join(dir, name), bytes);
          await Array.fromAsync(readRows(join(dir, name), ["text", "label"]));
        }
      },
    };
  },
};

const PIECES = [
  "null",
  "-1",
  "1e308",
  "{}",
  "[]",
  '""',
  "true",
  "\0",
  "\ufffd",
  '"',
  "9".repeat(30),
]
  .map((text) => encoder.encode(text));

/** A copy with one to eight faults: bytes changed, taken out, repeated, or something put in. */
function damaged(bytes: Uint8Array, random: Random): Uint8Array {
  let result = bytes.slice();
  for (let i = random.integer(8); i >= 0; i--) {
    const start = random.integer(result.length + 1);
    const end = Math.min(result.length, start + random.integer(2 ** random.integer(8)));
    const part = result.slice(start, end);
    const instead = [
      part.map((byte) => byte ^ 1 << random.integer(8)),
      new Uint8Array(),
      Uint8Array.of(...part, ...part),
      PIECES[random.integer(PIECES.length)]!,
    ][random.integer(4)]!;
    result = Uint8Array.of(...result.slice(0, start), ...instead, ...result.slice(end));
  }
  return result;
}

/** The processor's time that this process has taken; other processes may take as much as they like. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

const { values: { minutes, seed }, positionals: [name = ""] } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: { minutes: { type: "string", default: "10" }, seed: { type: "string", default: "1" } },
});
const target = await TARGETS[name]?.();
if (target === undefined) {
  console.error(`error: Cannot fuzz '${name}': name one of ${Object.keys(TARGETS).join(", ")}`);
  Deno.exit(1);
}
const dir = await Deno.makeTempDir();
const random = new Random(Number(seed));
const found = new Map<string, string>();
const startedAt = performance.now();
let files = 0;
for (; performance.now() - startedAt < Number(minutes) * 60_000; files++) {
  const bytes = damaged(target.seeds[random.integer(target.seeds.length)]!, random);
  const cpuMsBefore = cpuMs();
  let fault: string | undefined;
  try {
    await target.read(bytes, dir);
  } catch (error) {
    if (!(error instanceof UserError)) fault = String(error);
  }
  const ms = cpuMs() - cpuMsBefore;
  if (fault === undefined && ms > MAX_CPU_MS) fault = `took ${Math.round(ms)} ms`;
  if (fault === undefined || found.has(fault)) continue;
  const path = await Deno.makeTempFile({ prefix: `fuzz-${name}-` });
  await Deno.writeFile(path, bytes);
  found.set(fault, path);
  console.log(`${fault.split("\n")[0]}: ${path}`);
}
await Deno.remove(dir, { recursive: true });
console.log(`${files} files, ${found.size} findings`);
Deno.exitCode = found.size === 0 ? 0 : 1;
