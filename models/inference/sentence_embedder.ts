/**
 * The embeddings that a pretrained encoder gives to whole texts, as sentence-transformers computes them:
 * the mean of the last layer's tokens, or the first of them, scaled to unit length.
 *
 * @module
 */
import { join } from "node:path";
import { z } from "zod";
import { collate, type TokenIds } from "../../data/batches.ts";
import { exists, readJson } from "../../lib/files.ts";
import { UserError } from "../../lib/user_error.ts";
import type { Executor, InferenceSession } from "../../onnx/runtime/executor.ts";
import { Graph } from "../../onnx/graph/graph.ts";
import { encodeModel } from "../../onnx/graph/proto.ts";
import { familyOf, readConfig } from "../family.ts";
import { readTokenizer } from "../formats/classifier_folder.ts";
import type { ModelConfig } from "../formats/config.ts";
import { type HubOptions, modelDir } from "../hub.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { readWeights } from "../formats/weight_files.ts";
import { type ParameterSource, sumOfTokens, type WantedTokens } from "../layers.ts";
import { baseParameters } from "../parameters.ts";

/** sentence-transformers' description of how tokens become one embedding. */
const POOLING_FILE = "1_Pooling/config.json";
const Pooling = z.looseObject({ pooling_mode_mean_tokens: z.boolean().default(true) });

/** The tokens that an embedding sums up, by the flag for them; only its direction counts. */
const SUMMED_TOKENS = new Map<string, WantedTokens>([
  ["pooling_mode_cls_token", "first"],
  ["pooling_mode_mean_tokens", "all"],
  ["pooling_mode_mean_sqrt_len_tokens", "all"],
]);

/** Embeds texts. */
export class SentenceEmbedder {
  /** The length of an embedding. */
  readonly size: number;
  readonly tokenizer: Tokenizer;
  readonly #padId: number;
  readonly #session: InferenceSession;

  private constructor(config: ModelConfig, tokenizer: Tokenizer, session: InferenceSession) {
    this.size = familyOf(config).sizes(config).hidden_size;
    this.tokenizer = tokenizer;
    this.#padId = config.pad_token_id;
    this.#session = session;
  }

  /**
   * Loads a model.
   *
   * @param model A folder, or a name as {@link modelDir} takes it.
   * @param maxLength The tokens to which longer texts are cut.
   * @throws {UserError} If it is no model that can be used, or makes embeddings in another way.
   */
  static async load(
    executor: Executor,
    model: string,
    maxLength: number,
    options: HubOptions = {},
  ): Promise<SentenceEmbedder> {
    const dir = await modelDir(model, { ...options, optionalFiles: [POOLING_FILE] });
    const config = await readConfig(dir);
    const tokenizer = await readTokenizer(dir, config, maxLength);
    const graph = await embedderModel(dir, config, await summedTokens(dir));
    return new SentenceEmbedder(config, tokenizer, await executor.loadSession(graph));
  }

  /** The embeddings of texts that go through the model together, `[texts, size]`, of unit length. */
  async embed(texts: readonly TokenIds[]): Promise<Float32Array> {
    const { embeddings } = await this.#session.run(collate(texts, this.#padId));
    const values = embeddings!.data as Float32Array;
    for (let start = 0; start < values.length; start += this.size) {
      const embedding = values.subarray(start, start + this.size);
      const length = Math.hypot(...embedding);
      for (let i = 0; i < embedding.length; i++) embedding[i]! /= length;
    }
    return values;
  }
}

/** The tokens of a text whose sum is its embedding. */
async function summedTokens(dir: string): Promise<WantedTokens> {
  const file = join(dir, POOLING_FILE);
  const pooling = await exists(file) ? await readJson(file, Pooling) : Pooling.parse({});
  const asked = Object.keys(pooling)
    .filter((key) => key.startsWith("pooling_mode") && pooling[key] !== false);
  const tokens = asked.length === 1 ? SUMMED_TOKENS.get(asked[0]!) : undefined;
  if (tokens !== undefined) return tokens;
  throw new UserError(
    `Cannot use '${file}': expected one of ${quoted([...SUMMED_TOKENS.keys()])}, ` +
      `got ${quoted(asked) || "none"}`,
  );
}

function quoted(names: readonly string[]): string {
  return names.map((name) => `'${name}'`).join(", ");
}

/** The graph with its weights. */
async function embedderModel(
  dir: string,
  config: ModelConfig,
  tokens: WantedTokens,
): Promise<Uint8Array> {
  const weights = await readWeights(dir, config, baseParameters(config));
  const graph = new Graph();
  const parameter: ParameterSource = (name, shape) => {
    const data = weights[name];
    if (data === undefined) throw new UserError(`Cannot read '${dir}': its weights lack '${name}'`);
    return graph.initializer(name, { type: "float32", shape, data });
  };
  const x = familyOf(config).encoder(graph, { config, parameter }, tokens);
  graph.output("embeddings", tokens === "first" ? x : sumOfTokens(x));
  return encodeModel(graph);
}
