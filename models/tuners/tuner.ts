/**
 * Ways to tune a model. Each has a file: its settings with their rules, the weights it trains, its
 * changes to a graph, and its form in PEFT. No other file depends on which of them is used.
 *
 * @module
 */
import type { z } from "zod";
import type { Family } from "../family.ts";
import type { ModelConfig } from "../formats/config.ts";
import type { StoredTensor } from "../formats/safetensors.ts";
import { type GraphOptions, sharedParameters } from "../layers.ts";
import type { Weights } from "../weights.ts";
import { full } from "./full.ts";
import { lora, LORA_SETTINGS } from "./lora.ts";
import { prefix } from "./prefix.ts";
import { prompt } from "./prompt.ts";
import { VIRTUAL_TOKEN_SETTINGS } from "./virtual_tokens.ts";

/** The settings of a run that belong to one or more tuners. */
export const TUNER_SETTINGS = { ...VIRTUAL_TOKEN_SETTINGS, ...LORA_SETTINGS };

/** The settings of a run that tuners use. */
export interface TunerSettings extends z.infer<z.ZodObject<typeof TUNER_SETTINGS>> {
  model: string;
  seed: number;
  freeze?: string | undefined;
}

/** A setting that breaks a rule. */
export interface SettingFault {
  key: keyof TunerSettings | "mode";
  /** The rule, which ends with the mode that the setting needs where there is one. */
  message: string;
  needs?: { key: "mode"; value: Mode };
}

/** A learning rate and a number of epochs. */
export interface RateAndEpochs {
  learningRate: number;
  epochs: number;
}

/** The configuration of an adapter; keys are those of PEFT's `adapter_config.json`. */
export interface PeftConfig {
  peft_type: string;
  /** The modules of the base that are trained whole and kept with the adapter. */
  modules_to_save?: readonly string[];
}

/** A tuner's changes to the graph of a base. */
export type GraphChanges = Pick<GraphOptions, "virtualTokens" | "project">;

/** A base whose weights are known. */
export interface KnownBase {
  config: ModelConfig;
  weights: Weights;
}

/** A value of `--mode`. */
export type Mode = "full" | "prefix" | "prompt" | "lora";

/** A way to tune a model. */
export interface Tuner {
  readonly mode: Mode;
  /** The weights that it trains, in the help of `--mode`. */
  readonly trains: string;
  /** The settings that it rules out. */
  faults(settings: TunerSettings): SettingFault[];
  /** The defaults that suit it. */
  defaults(settings: TunerSettings, family: Pick<Family, "defaults">): RateAndEpochs;
  /** The method behind its adapters; absent if it trains every weight, into a whole model. */
  readonly method?: AdapterMethod;
}

/** The tensors of `adapter_model.safetensors`. */
export interface StoredTensors {
  names(): string[];
  /**
   * A tensor's values.
   *
   * @param shape The required shape; a dimension of any size is `undefined`.
   * @throws {UserError} If it is missing, or has another shape.
   */
  read(name: string, shape: readonly (number | undefined)[]): Float32Array;
}

/** Rows of one table of a bank. */
export interface BankRows {
  /** The number of values of a row. */
  width: number;
  values: Float32Array;
}

/** How a tuner makes an adapter of a frozen base. */
export interface AdapterMethod<Config extends PeftConfig = PeftConfig> {
  readonly peftType: Config["peft_type"];
  /** The content of an adapter beside the head, for its model card. */
  describe(settings: TunerSettings): string;
  /** The versions of PEFT that load it, for its model card. */
  readonly peftVersions: string;
  /** Whether PEFT keeps modules of the base with it that were trained whole. */
  readonly savesModules: boolean;

  /**
   * The configuration for the settings of a run.
   *
   * @param modulesToSave The modules of the base, beside the head, that are trained whole.
   */
  configOf(settings: TunerSettings, base: ModelConfig, modulesToSave?: readonly string[]): Config;
  /**
   * Checks that it fits a base.
   *
   * @returns The fault, as the end of a sentence that begins with the adapter's name.
   */
  misfit(config: Config, base: ModelConfig): string | undefined;
  /** The number of positions that it takes from a text. */
  virtualTokens(config: Config): number;
  /** Appends its parameters, and returns its changes to the graph. */
  changes(config: Config, options: GraphOptions): GraphChanges;
  /**
   * The values from which training starts.
   *
   * @throws {UserError} If the settings name a file that cannot be used.
   */
  initialWeights(config: Config, base: KnownBase, settings: TunerSettings): Promise<Weights>;

  /** The schema of `adapter_config.json`. */
  readonly stored: z.ZodType<Config>;
  /** The entries of `adapter_config.json` beside those of all adapters. */
  storedConfig(config: Config): Record<string, unknown>;
  /** The prefix of a base's own parameters in `adapter_model.safetensors`. */
  readonly baseModelPrefix: string;
  /** The tensors of `adapter_model.safetensors`, without those of modules trained whole. */
  toStored(config: Config, weights: Weights): [name: string, tensor: StoredTensor][];
  /**
   * The weights of a stored adapter, without those of modules trained whole.
   *
   * @throws {UserError} If a tensor is missing, or has another shape.
   */
  fromStored(config: Config, tensors: StoredTensors): Weights;
  /** The weights of the adapter merged into its base, if that is possible. */
  merge?(config: Config, base: ModelConfig, weights: Weights): Weights;

  /** Its rows in the tables of a bank of adapters, by the tables' names. */
  bankRows(config: Config, base: ModelConfig, weights: Weights): Record<string, BankRows>;
}

/** All tuners. */
export const TUNERS: readonly Tuner[] = [full, prefix, prompt, lora];

/** The values of `--mode`. */
export const MODES: readonly Mode[] = TUNERS.map(({ mode }) => mode);

/** The tuner of a mode. */
export function tunerOf(mode: Mode): Tuner {
  return TUNERS.find((tuner) => tuner.mode === mode)!;
}

/** Whether the result of a mode needs its base. */
export function needsBase(mode: string): boolean {
  return TUNERS.some((tuner) => tuner.mode === mode && tuner.method !== undefined);
}

/** The methods that PEFT also has. */
export const ADAPTER_METHODS: readonly AdapterMethod[] = TUNERS.flatMap(
  ({ method }) => method ?? [],
);

/** The method that made an adapter. */
export function methodOf({ peft_type }: PeftConfig): AdapterMethod {
  return ADAPTER_METHODS.find(({ peftType }) => peftType === peft_type)!;
}

/**
 * The options of a graph with the changes of an adapter, if there is one. A layer that is used
 * twice is changed with the same parameters.
 */
export function tuned<Options extends GraphOptions>(
  options: Options,
  peft: PeftConfig | undefined,
): Options {
  if (peft === undefined) return options;
  const shared = sharedParameters(options);
  return { ...shared, ...methodOf(peft).changes(peft, shared) };
}
