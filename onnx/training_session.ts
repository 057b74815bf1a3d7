/**
 * A model in training: its graphs, and the weights and optimizer state that they work on. It runs
 * inside the executor's Worker; `executor.ts` is the way to it.
 *
 * @module
 */
import { AdamW, type AdamWOptions, type ParameterShape } from "./adamw.ts";
import { DropoutFeeds, type DropoutSites } from "./dropout.ts";
import { Session, type Tensors } from "./session.ts";
import { elementCount } from "./shape.ts";

/** Where a training graph gives the gradient of a parameter. */
export interface GradientOutput {
  parameter: string;
  /** The output that holds the gradient, or the gradients of the rows that were read. */
  output: string;
  /** The output that says which rows those are; absent for the gradient of a whole parameter. */
  indices?: string;
}

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
}

/** A model in training, its weights and optimizer state next to the graphs that use them. */
export class TrainingSession {
  readonly #training: Session;
  readonly #inference: Session;
  readonly #graphs: TrainingGraphs;
  readonly #optimizer: AdamW;
  readonly #dropout: DropoutFeeds;
  readonly #weights: Tensors = {};
  /** The rows whose gradients are not zero, by parameter, from the step before. */
  readonly #touchedRows = new Map<string, { rows: Set<number>; width: number }>();

  private constructor(
    training: Session,
    inference: Session,
    graphs: TrainingGraphs,
    optimizer: AdamW,
    options: TrainingOptions,
  ) {
    this.#training = training;
    this.#inference = inference;
    this.#graphs = graphs;
    this.#optimizer = optimizer;
    this.#dropout = new DropoutFeeds(
      options.dropoutSeed,
      graphs.dropout,
      options.largestDimensions,
    );
    const trained = trainedParameters(graphs);
    for (const { name, shape } of graphs.parameters) {
      const data = trained.has(name)
        ? optimizer.weights(name)
        : new Float32Array(elementCount(shape));
      this.#weights[name] = { type: "float32", shape, data };
    }
  }

  /** Loads the graphs and takes over the initial weights, by parameter name. */
  static async load(
    graphs: TrainingGraphs,
    weights: Record<string, Float32Array>,
    options: TrainingOptions,
  ): Promise<TrainingSession> {
    const training = await Session.load(graphs.training);
    const inference = await Session.load(graphs.inference);
    const trained = trainedParameters(graphs);
    const optimizer = await AdamW.create(
      graphs.parameters.filter(({ name }) => trained.has(name)),
      options.optimizer,
    );
    const session = new TrainingSession(training, inference, graphs, optimizer, options);
    session.setWeights(weights);
    return session;
  }

  /**
   * Runs forward and backward on one batch, which may come in parts, and updates the weights.
   *
   * @param parts Their losses and gradients add up.
   * @param step Counted from 1; with the seed it determines the dropout masks.
   */
  async step(parts: readonly Tensors[], step: number, learningRate: number): Promise<StepResult> {
    this.#clearGradients();
    let loss = 0;
    for (const [part, batch] of parts.entries()) {
      const feeds = { ...this.#weights, ...batch, ...this.#dropout.at(step, part) };
      const outputs = await this.#training.run(feeds);
      for (const gradient of this.#graphs.gradients) {
        this.#takeGradient(gradient, outputs, part === 0);
      }
      loss += Number(outputs["loss"]!.data[0]);
    }
    return { loss, gradientNorm: this.#optimizer.step(step, learningRate) };
  }

  /** Runs the inference graph with the present weights. */
  run(batch: Tensors): Promise<Tensors> {
    return this.#inference.run({ ...this.#weights, ...batch });
  }

  /** A copy of the present weights, by parameter name. */
  weights(): Record<string, Float32Array> {
    return Object.fromEntries(
      Object.entries(this.#weights).map((
        [name, { data }],
      ) => [name, (data as Float32Array).slice()]),
    );
  }

  /** Replaces the weights of all parameters. */
  setWeights(weights: Record<string, Float32Array>): void {
    for (const [name, { data }] of Object.entries(this.#weights)) {
      const values = weights[name];
      const present = data as Float32Array;
      if (values?.length !== present.length) {
        throw new RangeError(
          `Cannot set weights: '${name}' must have ${present.length} values, got ${values?.length}`,
        );
      }
      present.set(values);
    }
  }

  /** Frees the graphs' memory. */
  async release(): Promise<void> {
    await this.#training.release();
    await this.#inference.release();
  }

  /** Zeroes the rows that the step before has written; whole gradients are overwritten instead. */
  #clearGradients(): void {
    for (const [parameter, { rows, width }] of this.#touchedRows) {
      const target = this.#optimizer.gradient(parameter);
      for (const row of rows) target.fill(0, row * width, (row + 1) * width);
      rows.clear();
    }
  }

  /** Writes the gradient of a first part where the optimizer reads it, or adds that of another. */
  #takeGradient(
    { parameter, output, indices }: GradientOutput,
    outputs: Tensors,
    first: boolean,
  ): void {
    const target = this.#optimizer.gradient(parameter);
    const values = outputs[output]!.data as Float32Array;
    if (indices !== undefined) {
      this.#addRows(parameter, target, values, outputs[indices]!.data as BigInt64Array);
    } else if (first) {
      target.set(values);
    } else {
      for (let i = 0; i < values.length; i++) target[i]! += values[i]!;
    }
  }

  #addRows(
    parameter: string,
    target: Float32Array,
    values: Float32Array,
    indices: BigInt64Array,
  ): void {
    const width = values.length / indices.length;
    const touched = this.#touchedRows.get(parameter) ?? { rows: new Set(), width };
    this.#touchedRows.set(parameter, touched);
    for (let i = 0; i < indices.length; i++) {
      const row = Number(indices[i]);
      touched.rows.add(row);
      for (let column = 0; column < width; column++) {
        target[row * width + column]! += values[i * width + column]!;
      }
    }
  }
}

function trainedParameters({ gradients }: TrainingGraphs): Set<string> {
  return new Set(gradients.map(({ parameter }) => parameter));
}
