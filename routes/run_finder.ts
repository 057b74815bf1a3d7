/**
 * Finds the runs that routes ask for: those that the server has started, and those that the command
 * line has begun in its folder.
 *
 * @module
 */
import { HTTPException } from "hono/http-exception";
import type { z } from "zod";
import { merged } from "../lib/merged.ts";
import { camelCase, mapKeys } from "../lib/snake_case.ts";
import { type FolderRun, FolderRuns } from "../orchestration/folder_runs.ts";
import { RunHistories, type RunHistory } from "../orchestration/run_history.ts";
import {
  isOver,
  newestFirst,
  type Run,
  type RunStore,
  type RunSummary,
  type Tuning,
} from "../orchestration/run_store.ts";
import type { Supervisor } from "../orchestration/supervisor.ts";
import { TrainSettings } from "../training/settings.ts";
import { trialComparison } from "../training/trials.ts";
import { type Page, pageOf } from "./pagination.ts";
import type { RunAnswer, STATES } from "./run_schemas.ts";

/** Options of {@link RunFinder}. */
export interface RunFinderOptions {
  store: RunStore;
  supervisor: Pick<Supervisor, "lostForMs">;
  /** The folder of the runs. */
  runsDir: string;
  /** Whether runs are trained on other machines, whose devices are unknown here. */
  trainsElsewhere?: boolean;
}

/** The choice of runs in a list. */
export interface RunQuery {
  state?: (typeof STATES)[number] | undefined;
  /** A part of the name. */
  name?: string | undefined;
  dataset?: string | undefined;
  /** The run whose trials are listed; without it, no trials are. */
  trial_of?: string | undefined;
  limit: number;
  /** The last run of the page before. */
  after?: string | undefined;
}

/** A run, as the routes answer it. */
export type AnsweredRun = z.infer<typeof RunAnswer>;

/** The runs of a server. */
export class RunFinder {
  readonly #store: RunStore;
  readonly #supervisor: Pick<Supervisor, "lostForMs">;
  readonly #histories: RunHistories;
  /** The other machines of a cluster do not see the folders of this one. */
  readonly #folder: FolderRuns | undefined;

  constructor({ store, supervisor, runsDir, trainsElsewhere = false }: RunFinderOptions) {
    this.#store = store;
    this.#supervisor = supervisor;
    this.#histories = new RunHistories(store);
    this.#folder = trainsElsewhere ? undefined : new FolderRuns(runsDir);
  }

  /**
   * A run.
   *
   * @throws {HTTPException} 404 if there is none.
   */
  async get(id: string): Promise<Run | FolderRun> {
    const run = await this.#store.get(id) ?? await this.#folder?.get(id);
    if (run === undefined) throw new HTTPException(404, { message: `There is no run '${id}'` });
    return run;
  }

  /**
   * A run that the server itself has started.
   *
   * @throws {HTTPException} 404 if there is none; 409 if the command line began it.
   */
  async getOwn(id: string): Promise<Run> {
    const run = await this.get(id);
    if (!isReadOnly(run)) return run;
    const message = `Run '${id}' was begun on the command line, and is only shown here`;
    throw new HTTPException(409, { message });
  }

  /** A run as it is answered. */
  answer({ base: _base, artifacts: _artifacts, tuning, ...run }: Run | FolderRun): AnsweredRun {
    const answer = { ...run, ...tuning !== undefined && { tuning: answeredTuning(run, tuning) } };
    const lostForMs = this.#supervisor.lostForMs(run.id);
    if (run.state !== "running" || lostForMs === undefined) return answer;
    return { ...answer, state: "lost", silent_seconds: Math.round(lostForMs / 1000) };
  }

  /** A page of runs, the newest first. */
  async page({ limit, after, ...query }: RunQuery): Promise<Page<AnsweredRun>> {
    const begin = after === undefined ? undefined : await this.get(after);
    return await pageOf(this.#newest(begin, query), limit);
  }

  /** The curves of a run so far. */
  async history(id: string, points: number): Promise<RunHistory & { is_live: boolean }> {
    const run = await this.get(id);
    if (isReadOnly(run)) return { ...await this.#folder!.history(run, points), is_live: false };
    return { ...await this.#histories.of(id, points), is_live: !isOver(run) };
  }

  /** Forgets the history of a run that was deleted. */
  forget(id: string): void {
    this.#histories.forget(id);
  }

  async *#newest(
    after: Run | FolderRun | undefined,
    { state, name, dataset, trial_of }: Omit<RunQuery, "limit" | "after">,
  ): AsyncGenerator<AnsweredRun> {
    const isWanted = (summary: RunSummary) =>
      (name === undefined || summary.name.includes(name)) &&
      (dataset === undefined || summary.dataset === dataset) &&
      summary.trial_of === trial_of &&
      (state === undefined || summary.state === (state === "lost" ? "running" : state));
    const own = this.#store.newest(after, isWanted);
    const runs = this.#folder === undefined
      ? own
      : merged<Run | FolderRun>(own, this.#folder.newest(after), newestFirst);
    for await (const run of runs) {
      if (isReadOnly(run) && (!isWanted(run) || await this.#isOwn(run))) continue;
      const answered = this.answer(run);
      // A running run may be lost.
      if (state === undefined || answered.state === state) yield answered;
    }
  }

  async #isOwn({ id }: FolderRun): Promise<boolean> {
    return await this.#store.get(id) !== undefined;
  }
}

function answeredTuning(
  { settings }: Pick<Run, "settings">,
  { examples: _, ...tuning }: Tuning,
): NonNullable<AnsweredRun["tuning"]> {
  const { metric } = trialComparison(TrainSettings.parse(mapKeys(settings, camelCase)));
  return { ...tuning, metric };
}

function isReadOnly(run: Run | FolderRun): run is FolderRun {
  return "read_only" in run;
}
