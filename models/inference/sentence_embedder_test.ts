import { deepStrictEqual, ok, rejects } from "node:assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Executor } from "../../onnx/runtime/executor.ts";
import { LocalHub } from "../../tests/support/local_hub.ts";
import type { HubOptions } from "../hub.ts";
import { SentenceEmbedder } from "./sentence_embedder.ts";

/** A small base with a vocabulary of a few words; the folder's README says where it is from. */
const BASE = fileURLToPath(new URL("../../tests/peft/base", import.meta.url));
const TEXTS = ["a song", "how the bread song today", "bread"];

async function embeddings(
  model: string,
  batches: string[][],
  options?: HubOptions,
): Promise<number[][]> {
  await using executor = await Executor.start({ threads: 1 });
  const embedder = await SentenceEmbedder.load(executor, model, 16, options);
  const rows: number[][] = [];
  for (const batch of batches) {
    const values = await embedder.embed(batch.map((text) => embedder.tokenizer.encode(text).ids));
    for (let i = 0; i < batch.length; i++) {
      rows.push([...values.subarray(i * embedder.size, (i + 1) * embedder.size)]);
    }
  }
  return rows;
}

/** Runs a test with a copy of the base that says how it pools. */
async function withPooling(
  pooling: Record<string, boolean>,
  test: (dir: string) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    for await (const { name } of Deno.readDir(BASE)) {
      await Deno.copyFile(join(BASE, name), join(dir, name));
    }
    await Deno.mkdir(join(dir, "1_Pooling"));
    await Deno.writeTextFile(join(dir, "1_Pooling", "config.json"), JSON.stringify(pooling));
    await test(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function distance(a: readonly number[], b: readonly number[]): number {
  return Math.hypot(...a.map((value, i) => value - b[i]!));
}

Deno.test("SentenceEmbedder gives a text the same embedding of unit length in any batch", async () => {
  const together = await embeddings(BASE, [TEXTS]);
  const alone = await embeddings(BASE, TEXTS.map((text) => [text]));
  for (const [i, embedding] of together.entries()) {
    ok(Math.abs(Math.hypot(...embedding) - 1) < 1e-6);
    ok(distance(embedding, alone[i]!) < 1e-5, `'${TEXTS[i]}' depends on its batch`);
  }
  ok(distance(together[0]!, together[1]!) > 1e-3);
});

const FIRST = { pooling_mode_cls_token: true, pooling_mode_mean_tokens: false };

Deno.test("SentenceEmbedder takes the first token where the folder says so", async () => {
  await withPooling(FIRST, async (dir) => {
    const [mean, first] = [await embeddings(BASE, [TEXTS]), await embeddings(dir, [TEXTS])];
    ok(distance(mean[0]!, first[0]!) > 1e-3);
    ok(Math.abs(Math.hypot(...first[0]!) - 1) < 1e-6);
  });
});

Deno.test("SentenceEmbedder takes either kind of mean, whose direction is the same", async () => {
  const pooling = { pooling_mode_mean_tokens: false, pooling_mode_mean_sqrt_len_tokens: true };
  await withPooling(pooling, async (dir) => {
    deepStrictEqual(await embeddings(dir, [TEXTS]), await embeddings(BASE, [TEXTS]));
  });
});

for (
  const [what, pooling, got] of [
    ["the maximum", { pooling_mode_max_tokens: true }, "'pooling_mode_max_tokens'"],
    ["the last token", { pooling_mode_lasttoken: true }, "'pooling_mode_lasttoken'"],
    ["nothing", {}, "none"],
    [
      "two things side by side",
      { pooling_mode_mean_tokens: true, pooling_mode_cls_token: true },
      "'pooling_mode_mean_tokens', 'pooling_mode_cls_token'",
    ],
  ] as const
) {
  Deno.test(`SentenceEmbedder refuses a folder that takes ${what}`, async () => {
    await withPooling({ pooling_mode_mean_tokens: false, ...pooling }, async (dir) => {
      await rejects(embeddings(dir, [TEXTS]), {
        name: "UserError",
        message: `Cannot use '${join(dir, "1_Pooling", "config.json")}': expected one of ` +
          "'pooling_mode_cls_token', 'pooling_mode_mean_tokens', " +
          `'pooling_mode_mean_sqrt_len_tokens', got ${got}`,
      });
    });
  });
}

Deno.test("SentenceEmbedder takes a model of the hub, with its pooling", async () => {
  await withPooling(FIRST, async (dir) => {
    const files = new Map<string, Uint8Array<ArrayBuffer>>();
    for (const name of ["config.json", "model.safetensors", "vocab.txt", "1_Pooling/config.json"]) {
      files.set(name, await Deno.readFile(join(dir, name)));
    }
    await using hub = new LocalHub(files);
    const variables = { HF_ENDPOINT: hub.endpoint, HF_HOME: join(dir, "cache") };
    const options = { environment: new Map(Object.entries(variables)) };
    const expected = await embeddings(dir, [TEXTS]);
    deepStrictEqual(await embeddings("acme/tiny", [TEXTS], options), expected);
  });
});

Deno.test("SentenceEmbedder says what is wrong with a folder", async () => {
  await rejects(embeddings("/nowhere", [TEXTS]), {
    message: "Cannot read a model from '/nowhere': there is no such folder",
  });
});
