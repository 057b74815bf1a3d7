/**
 * A model in training: its graphs, and the parameters that they work on. It runs inside the
 * executor's Worker; `executor.ts` is the way to it.
 *
 * @module
 */
import type { AdamWOptions, ParameterShape } from "./adamw.ts";
import { DropoutFeeds, type DropoutSites } from "./dropout.ts";
import { HostParameters } from "./host_parameters.ts";
import type { GradientOutput, ParameterKind, Parameters, ParameterValues } from "./parameters.ts";
import { type Runtime, upload } from "./runtime.ts";
import { type DeviceTensors, hostTensors, Session, type Tensors } from "./session.ts";
import { WebGpuParameters } from "./webgpu_parameters.ts";

/**
 * A model in training: two graphs over the same parameters, which are inputs of both. Parameters
 * without a gradient are frozen.
 */
export interface TrainingGraphs {
  /** Gives `loss`, a scalar, and the gradients. */
  training: Uint8Array;
  /** Gives what evaluation needs. */
  inference: Uint8Array;
  parameters: ParameterShape[];
  gradients: GradientOutput[];
  dropout: DropoutSites;
}

/** The settings of a training session that stay the same. */
export interface TrainingOptions {
  optimizer: AdamWOptions;
  dropoutSeed: number;
  /** The largest value that each symbolic dimension will have, such as `batch` and `length`. */
  largestDimensions: Record<string, number>;
}

/** What one step of training did. */
export interface StepResult {
  loss: number;
  /** The norm of all gradients before clipping. */
  gradientNorm: number;
  /** How long the graph ran, with the gradients brought to where the optimizer reads them. */
  forwardBackwardMs: number;
  /** How long the optimizer took. */
  optimizerMs: number;
}

/** A model in training, its parameters on the device next to the graphs that use them. */
export class TrainingSession {
  readonly #training: Session;
  readonly #inference: Session;
  readonly #parameters: Parameters;
  readonly #dropout: DropoutFeeds;
  readonly #masks: DeviceTensors;

  private constructor(
    training: Session,
    inference: Session,
    parameters: Parameters,
    dropout: DropoutFeeds,
    masks: DeviceTensors,
  ) {
    this.#training = training;
    this.#inference = inference;
    this.#parameters = parameters;
    this.#dropout = dropout;
    this.#masks = masks;
  }

  /** Loads the graphs and takes over the initial weights, by parameter name. */
  static async load(
    runtime: Runtime,
    { training, inference, parameters: shapes, gradients, dropout: sites }: TrainingGraphs,
    weights: ParameterValues,
    { optimizer, dropoutSeed, largestDimensions }: TrainingOptions,
  ): Promise<TrainingSession> {
    const gradientOutputs = gradients.map(({ output }) => output);
    const trainingSession = await Session.load(runtime, training, gradientOutputs);
    const inferenceSession = await Session.load(runtime, inference);
    const Parameters = runtime.device === "webgpu" ? WebGpuParameters : HostParameters;
    const parameters = await Parameters.create(runtime, shapes, gradients, optimizer);
    for (const { name } of shapes) parameters.setValues("weights", name, weights[name]!);
    const dropout = new DropoutFeeds(dropoutSeed, sites, largestDimensions);
    const masks: DeviceTensors = {};
    for (const [name, mask] of Object.entries(dropout.masks)) {
      masks[name] = await upload(runtime, mask);
    }
    return new TrainingSession(trainingSession, inferenceSession, parameters, dropout, masks);
  }

  /**
   * Runs forward and backward on one batch, which may come in parts, and updates the weights.
   *
   * @param parts Their losses and gradients add up.
   * @param step Counted from 1; with the seed it determines the dropout masks.
   */
  async step(parts: readonly Tensors[], step: number, learningRate: number): Promise<StepResult> {
    const started = performance.now();
    let loss = 0;
    for (const [part, batch] of parts.entries()) {
      const first = part === 0;
      const outputs = await this.#training.runOnDevice(
        {
          ...this.#parameters.feeds,
          ...this.#masks,
          ...this.#dropout.offsets(step, part),
          ...batch,
        },
        this.#parameters.gradientTargets(first),
      );
      loss += Number(outputs["loss"]!.data[0]);
      this.#parameters.addGradients(outputs, first);
    }
    const updating = performance.now();
    const gradientNorm = await this.#parameters.update(step, learningRate);
    return {
      loss,
      gradientNorm,
      forwardBackwardMs: updating - started,
      optimizerMs: performance.now() - updating,
    };
  }

  /** Runs the inference graph with the present weights. */
  async run(batch: Tensors): Promise<Tensors> {
    const feeds = { ...this.#parameters.feeds, ...batch };
    return hostTensors(await this.#inference.runOnDevice(feeds));
  }

  /** A copy of one parameter's present weights or moments. */
  values(kind: ParameterKind, name: string): Promise<Float32Array> {
    return this.#parameters.values(kind, name);
  }

  /** Replaces one parameter's weights or moments. */
  setValues(kind: ParameterKind, name: string, values: Float32Array): void {
    this.#parameters.setValues(kind, name, values);
  }

  /** Frees the device's memory. */
  async release(): Promise<void> {
    await this.#training.release();
    await this.#inference.release();
    for (const mask of Object.values(this.#masks)) mask.dispose();
    this.#parameters.release();
  }
}
