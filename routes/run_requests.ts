/**
 * Turns requests for runs into runs: checks what can be checked before training, and queues them.
 *
 * @module
 */
import { HTTPException } from "hono/http-exception";
import { createHash } from "node:crypto";
import { basename, join } from "node:path";
import type { z } from "zod";
import type { DatasetLibrary } from "../data/dataset_library.ts";
import type { ProblemType } from "../data/labels.ts";
import { checkSettings } from "../lib/check_settings.ts";
import { exists } from "../lib/files.ts";
import { camelCase, mapKeys, snakeCase, spellJson } from "../lib/snake_case.ts";
import { type Family, readConfig, tuningDefaults } from "../models/family.ts";
import { isAdapter } from "../models/formats/adapter.ts";
import { CONFIG_FILE } from "../models/formats/config.ts";
import { OWN_MODELS } from "../models/own_models.ts";
import { chooseDevice, DeviceError } from "../onnx/runtime/device.ts";
import type { FolderRun } from "../orchestration/folder_runs.ts";
import {
  type IdempotentRequest,
  newRun,
  type Run,
  type RunStore,
  type Tuning,
} from "../orchestration/run_store.ts";
import type { Supervisor } from "../orchestration/supervisor.ts";
import { newTuning } from "../orchestration/tuning_work.ts";
import { UnknownModelError } from "../serving/model_reference.ts";
import type { ModelRegistry } from "../serving/model_registry.ts";
import { TrainSettings, withModelDefaults } from "../training/settings.ts";
import { newTrials } from "../training/trials.ts";
import { aboutToStop, invalidField } from "./errors.ts";
import type { RunFinder } from "./run_finder.ts";
import { type CheckedSettings, RunRequest } from "./run_schemas.ts";
import type { DiskBudget } from "./storage.ts";

/** Options of {@link RunRequests}. */
export interface RunRequestsOptions {
  store: RunStore;
  supervisor: Supervisor;
  models: ModelRegistry;
  datasets: DatasetLibrary;
  /** The bases beside the server's own models: folders, by their names, and names on the hub. */
  allowedBases?: readonly string[] | undefined;
  /** Whether runs are trained on other machines, whose devices are unknown here. */
  trainsElsewhere?: boolean;
  budget: DiskBudget;
}

/** The body of a request. */
type Body = Record<string, unknown>;

/** The requests for runs. */
export class RunRequests {
  readonly #options: RunRequestsOptions;
  readonly #runs: Pick<RunFinder, "get">;

  /** @param runs Finds the run of a request that came before. */
  constructor(options: RunRequestsOptions, runs: Pick<RunFinder, "get">) {
    this.#options = options;
    this.#runs = runs;
  }

  /**
   * Queues a run.
   *
   * @param retryOf The run that it repeats.
   * @throws {HTTPException} If the request breaks a rule, or the server is about to stop.
   */
  async submit(body: Body, retryOf?: string): Promise<Run> {
    return (await this.#submit(body, { retry_of: retryOf }))!;
  }

  /**
   * Queues a run, unless the same request has come before.
   *
   * @param owner The name of the client's key.
   * @param key The request's `Idempotency-Key`.
   * @returns The run, or that of the same request.
   * @throws {HTTPException} As {@link submit}; 409 if the key was used for another request.
   */
  async submitOnce(body: Body, owner: string, key: string): Promise<Run | FolderRun> {
    const { store } = this.#options;
    const sha256 = createHash("sha256").update(JSON.stringify(body)).digest("hex");
    const request = { owner, key, sha256 };
    let created = await store.created(request);
    if (created === undefined) {
      const run = await this.#submit(body, { created: request });
      if (run !== undefined) return run;
      // The same request came a second time, and was faster.
      created = (await store.created(request))!;
    }
    if (created.sha256 !== sha256) {
      const message = `The Idempotency-Key '${key}' was used for another request`;
      throw new HTTPException(409, { message });
    }
    return await this.#runs.get(created.runId);
  }

  /** The settings of a run with the defaults that suit its base; nothing is queued. */
  async settingsOf(body: Body): Promise<z.infer<typeof CheckedSettings>["settings"]> {
    const { known, base } = await this.#check(body);
    return Object.fromEntries(
      Object.entries(withModelDefaults(known, await defaultsOf(base))).flatMap(([key, value]) =>
        value === undefined ? [] : [[snakeCase(key), value] as const]
      ),
    );
  }

  /** @returns `undefined` if another process has queued a run for the same request. */
  async #submit(
    body: Body,
    { created, retry_of }: { created?: IdempotentRequest; retry_of?: string | undefined },
  ): Promise<Run | undefined> {
    const { supervisor, budget } = this.#options;
    if (supervisor.closed) throw aboutToStop();
    using _place = supervisor.reserve();
    const { dataset, name, promote, worker_label, settings, base, tuning } = await this.#check(
      body,
    );
    using _room = await budget.reserve();
    const id = crypto.randomUUID();
    const fields = { settings, base, dataset, promote, worker_label, retry_of, tuning };
    const run = newRun({ id, name: name ?? id, ...fields });
    return await supervisor.submit(run, created) ? run : undefined;
  }

  /** Checks everything that can be checked before a run is queued. */
  async #check(body: Body) {
    const { dataset, name, promote, worker_label, tune, ...settings } = RunRequest.parse(body);
    if (worker_label !== undefined && this.#options.trainsElsewhere !== true) {
      throw invalidField("worker_label", "only the workers of a cluster have labels");
    }
    if (name !== undefined && await this.#options.store.get(name) !== undefined) {
      throw invalidField("name", `'${name}' is the id of a run, by which its model is known`);
    }
    const problemType = await this.#problemType(dataset, settings["problem_type"]);
    settings["problem_type"] = problemType;
    const known = checkedSettings(settings);
    if (promote === true && name !== undefined) {
      await this.#checkPromotion(name, dataset, problemType);
    }
    const base = await this.#baseOf(known.model);
    await this.#checkDevice(known.device);
    const tuning = tune && await this.#newTuning({ dataset, base, known }, body, tune);
    return { dataset, name, promote, worker_label, settings, known, base, tuning };
  }

  /** A search for the settings that a request leaves open. */
  async #newTuning(
    { dataset, base, known }: { dataset: string; base: string; known: TrainSettings },
    body: Body,
    { trials: count, minutes }: { trials: number; minutes?: number | undefined },
  ): Promise<Tuning> {
    const { files, labels } = await this.#options.datasets.audit(dataset);
    const rows = files.train!.rows;
    const examples = Math.min(rows, known.maxTrainSamples ?? rows);
    const size = { examples, labels: labels.length };
    const defaults = withModelDefaults(known, await defaultsOf(base), size);
    const chosen = TrainSettings.keyof().options.filter((key) => snakeCase(key) in body);
    const trials = newTrials(known, defaults, { count, chosen });
    if (trials.length > 1) return newTuning(trials, { examples, minutes });
    throw invalidField(
      "tune",
      "no setting is left to search for: leave out learning_rate or epochs",
    );
  }

  /** The kind of problem of a data set, which a request may only repeat. */
  async #problemType(dataset: string, wanted: unknown): Promise<ProblemType> {
    const { datasets } = this.#options;
    if (!await datasets.has(dataset)) {
      throw invalidField("dataset", `there is no data set '${dataset}'`);
    }
    const problemType = await datasets.problemType(dataset);
    if ((wanted ?? problemType) !== problemType) {
      throw invalidField("problem_type", `that of the data set '${dataset}' is ${problemType}`);
    }
    return problemType;
  }

  /** Refuses a promotion that would be refused once the model exists. */
  async #checkPromotion(name: string, dataset: string, problemType: ProblemType): Promise<void> {
    const { datasets, models } = this.#options;
    const { labels, label_names } = await datasets.audit(dataset);
    const other = await models.otherClasses(name, problemType, [labels, label_names]);
    if (other === undefined) return;
    throw invalidField(
      "promote",
      `the classes of '${dataset}' are others than those of '${name}@${other.version}', for which ` +
        `'${name}' stands; leave it out, and point the alias 'current' to the model when it is there`,
    );
  }

  /** Refuses a device that this machine lacks, where it trains itself. */
  async #checkDevice(device: TrainSettings["device"]): Promise<void> {
    // There is always a device to choose, and asking for a GPU takes the thread that answers.
    if (this.#options.trainsElsewhere === true || device === "auto") return;
    await chooseDevice(device).catch((error) => {
      if (error instanceof DeviceError) throw invalidField("device", error.message);
      throw error;
    });
  }

  /**
   * Resolves the base that a request names, which is never a path.
   *
   * @throws {HTTPException} 422 if the server does not know or allow it.
   */
  async #baseOf(name: string): Promise<string> {
    const { models, allowedBases = [] } = this.#options;
    if (OWN_MODELS.includes(name)) return name;
    for (const base of allowedBases) {
      if (name === (await exists(base) ? basename(base) : base)) return base;
    }
    try {
      const { dir } = await models.resolve(name);
      if (!await isAdapter(dir)) return dir;
    } catch (error) {
      if (!(error instanceof UnknownModelError)) throw error;
      const known = [...OWN_MODELS, ...allowedBases.map((base) => basename(base))].join(", ");
      throw invalidField("model", `must be a model of the server or one of ${known}`);
    }
    throw invalidField("model", `'${name}' is an adapter, and none can stand on it`);
  }
}

/** The defaults that suit a base; a model on the hub is known once it has been downloaded. */
async function defaultsOf(base: string): Promise<Pick<Family, "defaults"> | undefined> {
  if (!await exists(join(base, CONFIG_FILE))) return undefined;
  return { defaults: tuningDefaults(await readConfig(base)) };
}

/** The settings of a request, which names them in snake_case. */
function checkedSettings(settings: Body): TrainSettings {
  return checkSettings(TrainSettings, mapKeys(settings, camelCase), {
    spell: spellJson,
    refuse: (key = "body", rule) => invalidField(snakeCase(key), rule),
  });
}
