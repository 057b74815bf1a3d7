/**
 * Times training steps of a BERT classifier in TensorFlow.js, on its WebAssembly backend.
 *
 * The layers are BERT's, without dropout. The inputs are weights in place of token embeddings, as
 * that backend has no gradient of a lookup, and the optimizer is Adam without decay or clipping.
 * Under Deno the backend has one thread.
 *
 *     echo | deno run --config deno.json --allow-read --allow-env bench/peers/programs/tfjs_step.ts minilm 16 16 1
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { type BENCH_SIZES, benchConfig } from "../../train.ts";
import { PEER_PACKAGES, runPeer } from "./peer.ts";

/** A tensor or variable of TensorFlow.js. */
interface Tensor {
  dataSync(): Float32Array;
  dispose(): void;
}

/** A weight matrix and its bias, or the scale and shift of a normalisation. */
type Pair = [Tensor, Tensor];

const [size, ...numbers] = Deno.args;
const [batchSize, length, steps] = numbers.map(Number) as [number, number, number];
const WASM_BACKEND = "@tensorflow/tfjs-backend-wasm";

await runPeer(["@tensorflow/tfjs", WASM_BACKEND], async (tf, { setWasmPaths }) => {
  setWasmPaths(fileURLToPath(new URL(`${WASM_BACKEND}/dist/`, PEER_PACKAGES)));
  await tf.setBackend("wasm");

  const {
    hidden_size: hidden,
    intermediate_size: inner,
    num_attention_heads: heads,
    num_hidden_layers: layerCount,
  } = benchConfig(size as keyof typeof BENCH_SIZES);
  const labelCount = 6;
  const random = (shape: number[]): Tensor => tf.variable(tf.randomNormal(shape, 0, 0.02));
  const linear = (from: number, to: number): Pair => [
    random([from, to]),
    tf.variable(tf.zeros([to])),
  ];
  const norm = (): Pair => [tf.variable(tf.ones([hidden])), tf.variable(tf.zeros([hidden]))];

  const embeddings = random([batchSize * length, hidden]);
  const embeddingNorm = norm();
  const layers = Array.from({ length: layerCount }, () => ({
    query: linear(hidden, hidden),
    key: linear(hidden, hidden),
    value: linear(hidden, hidden),
    output: linear(hidden, hidden),
    outputNorm: norm(),
    up: linear(hidden, inner),
    down: linear(inner, hidden),
    downNorm: norm(),
  }));
  const pooler = linear(hidden, hidden);
  const classifier = linear(hidden, labelCount);
  const labels = tf.oneHot(
    tf.tensor1d(Array.from({ length: batchSize }, (_, i) => i % labelCount), "int32"),
    labelCount,
  );

  const apply = ([weight, bias]: Pair, x: Tensor): Tensor => tf.add(tf.matMul(x, weight), bias);
  const normalise = ([scale, shift]: Pair, x: Tensor): Tensor => {
    const { mean, variance } = tf.moments(x, -1, true);
    return tf.add(tf.mul(tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-12))), scale), shift);
  };
  const gelu = (x: Tensor): Tensor =>
    tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));
  /** `[batch * length, hidden]` to `[batch, heads, length, head size]` */
  const split = (x: Tensor): Tensor =>
    tf.transpose(tf.reshape(x, [batchSize, length, heads, hidden / heads]), [0, 2, 1, 3]);

  const loss = (): Tensor => {
    let x = normalise(embeddingNorm, embeddings);
    for (const layer of layers) {
      const [query, key, value] = [layer.query, layer.key, layer.value]
        .map((weights) => split(apply(weights, x)));
      const scores = tf.mul(tf.matMul(query, key, false, true), Math.sqrt(heads / hidden));
      const context = tf.transpose(tf.matMul(tf.softmax(scores), value), [0, 2, 1, 3]);
      const attended = apply(layer.output, tf.reshape(context, [batchSize * length, hidden]));
      x = normalise(layer.outputNorm, tf.add(x, attended));
      x = normalise(layer.downNorm, tf.add(x, apply(layer.down, gelu(apply(layer.up, x)))));
    }
    const first = tf.slice(tf.reshape(x, [batchSize, length, hidden]), [0, 0, 0], [-1, 1, -1]);
    const pooled = tf.tanh(apply(pooler, tf.reshape(first, [batchSize, hidden])));
    return tf.losses.softmaxCrossEntropy(labels, apply(classifier, pooled));
  };

  const optimizer = tf.train.adam(1e-4);
  const stepMs = () => {
    const startedAt = performance.now();
    const value: Tensor = optimizer.minimize(loss, true);
    value.dataSync();
    value.dispose();
    return performance.now() - startedAt;
  };
  stepMs(); // warm-up
  return () => Array.from({ length: steps }, stepMs);
});
