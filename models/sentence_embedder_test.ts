import { ok, rejects } from "node:assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Executor } from "../onnx/executor.ts";
import { SentenceEmbedder } from "./sentence_embedder.ts";

/** A small base with a vocabulary of a few words; the folder's README says where it is from. */
const BASE = fileURLToPath(new URL("../tests/peft/base", import.meta.url));
const TEXTS = ["a song", "how the bread song today", "bread"];

async function embeddings(dir: string, batches: string[][]): Promise<number[][]> {
  await using executor = await Executor.start({ threads: 1 });
  const embedder = await SentenceEmbedder.load(executor, dir, 16);
  const rows: number[][] = [];
  for (const batch of batches) {
    const values = await embedder.embed(batch.map((text) => embedder.tokenizer.encode(text).ids));
    for (let i = 0; i < batch.length; i++) {
      rows.push([...values.subarray(i * embedder.size, (i + 1) * embedder.size)]);
    }
  }
  return rows;
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

Deno.test("SentenceEmbedder takes the first token where the folder says so", async () => {
  const dir = await Deno.makeTempDir();
  try {
    for await (const { name } of Deno.readDir(BASE)) {
      await Deno.copyFile(join(BASE, name), join(dir, name));
    }
    await Deno.mkdir(join(dir, "1_Pooling"));
    await Deno.writeTextFile(
      join(dir, "1_Pooling", "config.json"),
      JSON.stringify({ pooling_mode_cls_token: true }),
    );
    const [mean, first] = [await embeddings(BASE, [TEXTS]), await embeddings(dir, [TEXTS])];
    ok(distance(mean[0]!, first[0]!) > 1e-3);
    ok(Math.abs(Math.hypot(...first[0]!) - 1) < 1e-6);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("SentenceEmbedder says what is wrong with a folder", async () => {
  await rejects(embeddings("/nowhere", [TEXTS]), {
    message: "Cannot read a model from '/nowhere': it holds no config.json",
  });
});
