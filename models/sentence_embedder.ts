/**
 * The embeddings that a pretrained BERT gives to whole texts, as sentence-transformers computes them:
 * the mean of the last layer's tokens, or the first of them, scaled to unit length.
 *
 * @module
 */
import { join } from "node:path";
import { z } from "zod";
import { collate, type TokenIds } from "../data/batches.ts";
import { exists, readJson } from "../data/files.ts";
import { UserError } from "../data/user_error.ts";
import type { Executor, InferenceSession } from "../onnx/executor.ts";
import { Graph, type Tensor } from "../onnx/graph.ts";
import { cast, mul, reduceSum, reshape } from "../onnx/operators.ts";
import { encodeModel } from "../onnx/proto.ts";
import { bertEncoder, type ParameterSource } from "./bert.ts";
import { readTokenizer } from "./classifier.ts";
import { type BertConfig, readConfig } from "./config.ts";
import type { BertTokenizer } from "./tokenizer.ts";
import { readWeights } from "./weight_files.ts";
import { parameterShapes } from "./weights.ts";

/** sentence-transformers' description of how tokens become one embedding. */
const POOLING_FILE = join("1_Pooling", "config.json");
const Pooling = z.looseObject({ pooling_mode_cls_token: z.boolean().default(false) });

/** Embeds texts. */
export class SentenceEmbedder {
  /** The length of an embedding. */
  readonly size: number;
  readonly tokenizer: BertTokenizer;
  readonly #padId: number;
  readonly #session: InferenceSession;

  private constructor(config: BertConfig, tokenizer: BertTokenizer, session: InferenceSession) {
    this.size = config.hidden_size;
    this.tokenizer = tokenizer;
    this.#padId = config.pad_token_id;
    this.#session = session;
  }

  /**
   * Loads a model's folder.
   *
   * @param maxLength Longer texts are cut to so many tokens.
   * @throws {UserError} If it holds no BERT that can be used.
   */
  static async load(
    executor: Executor,
    dir: string,
    maxLength: number,
  ): Promise<SentenceEmbedder> {
    const config = await readConfig(dir);
    const tokenizer = (await readTokenizer(dir, config)).withMaxLength(maxLength);
    const poolingFile = join(dir, POOLING_FILE);
    const { pooling_mode_cls_token: first } = await exists(poolingFile)
      ? await readJson(poolingFile, Pooling)
      : Pooling.parse({});
    const model = await embedderModel(dir, config, first);
    return new SentenceEmbedder(config, tokenizer, await executor.loadSession(model));
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

/** The graph with its weights; the mean is a sum, as only its direction counts. */
async function embedderModel(
  dir: string,
  config: BertConfig,
  first: boolean,
): Promise<Uint8Array> {
  const shapes = parameterShapes(config).filter(({ name }) => name.startsWith("bert."));
  const weights = await readWeights(dir, shapes);
  const graph = new Graph();
  const parameter: ParameterSource = (name, shape) => {
    const data = weights[name];
    if (data === undefined) throw new UserError(`Cannot read '${dir}': its weights lack '${name}'`);
    return graph.initializer(name, { type: "float32", shape, data });
  };
  const x = bertEncoder(graph, { config, parameter }, first ? "first" : "all");
  graph.output("embeddings", first ? x : sumOfTokens(graph, x));
  return encodeModel(graph);
}

/** The sum of each text's tokens, without padding: `x [batch*length, hidden]` -> `[batch, hidden]` */
function sumOfTokens(graph: Graph, x: Tensor): Tensor {
  const mask = graph.inputs.find(({ name }) => name === "attention_mask")!;
  const isToken = reshape(cast(mask, "float32"), ["batch", "length", 1]);
  return reduceSum(mul(reshape(x, ["batch", "length", x.shape[1]!]), isToken), [1]);
}
