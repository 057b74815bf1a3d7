/**
 * Keeps runs and evaluations in Deno KV, which one server owns; the queue is that server's alone.
 *
 * @module
 */
import {
  type Claim,
  type CreatedRun,
  type Evaluation,
  type EvaluationSummary,
  type IdempotentRequest,
  newestFirst,
  type NumberedEvent,
  type Run,
  type RunEntry,
  type RunEvent,
  RunStore,
  type RunSummary,
  type RunUpdate,
  type StateEvent,
  summaryOf,
  type Task,
} from "./run_store.ts";
import { DiskFullError } from "../lib/files.ts";
import { type Key, KvStore, MAX_WRITES, StateError, type Store, type Write } from "./store.ts";

/** The longest id; Deno KV refuses keys of more than 2 KiB. */
const MAX_ID_LENGTH = 200;
/** How long a repeated request to create a run creates no other. */
const IDEMPOTENCY_MS = 24 * 3600_000;

/** The index of runs by time of creation, so that a list reads only the runs that it shows. */
const RUNS_BY_TIME = "runs_by_time";
/** The key that says that the index has all runs. */
const INDEXED: Key = ["indexed", RUNS_BY_TIME, 2];
/** The same index of evaluations. */
const EVALUATIONS_BY_TIME = "evaluations_by_time";
const EVALUATIONS_INDEXED: Key = ["indexed", EVALUATIONS_BY_TIME, 1];
/** The number of runs of a list that are read at once. */
const INDEX_PAGE = 200;

/** Keeps runs, their events, and evaluations in Deno KV, and the queue in memory. */
export class KvRunStore extends RunStore {
  readonly #store: Store;
  #queue: Task[] = [];
  /** The workers that wait for a task. */
  readonly #claimers = new Set<(task: Task) => void>();

  /** @param store The store of the runs, with its indexes; it is closed with this. */
  constructor(store: Store) {
    super();
    this.#store = store;
  }

  /** Opens the store in a file, a KV database by its URL, or in memory for `:memory:`. */
  static async open(path: string): Promise<KvRunStore> {
    return await KvRunStore.over(await KvStore.open(path));
  }

  /** Keeps runs in a store, and adds the indexes that it lacks if an earlier version wrote it. */
  static async over(store: Store): Promise<KvRunStore> {
    try {
      await indexRuns(store);
      await indexEvaluations(store);
    } catch (error) {
      // Whoever needs the state gets the error; after a full disk the next start adds the indexes.
      if (!(error instanceof StateError || error instanceof DiskFullError)) throw error;
    }
    return new KvRunStore(store);
  }

  get queueLength(): number {
    return this.#queue.length;
  }

  async create(run: Run, created?: IdempotentRequest): Promise<boolean> {
    const event: StateEvent = { type: "state", state: run.state };
    const writes: Write[] = [
      { key: ["runs", run.id], value: { ...run, event_count: 1 } },
      { key: indexKey(RUNS_BY_TIME, run), value: summaryOf(run) },
      { key: ["events", run.id, 1], value: event },
    ];
    const isNew = { key: ["runs", run.id], version: undefined };
    if (created === undefined) return await this.#store.put(writes, [isNew]);
    const key = createdKey(created);
    const value: CreatedRun = { sha256: created.sha256, runId: run.id };
    writes.push({ key, value, expireInMs: IDEMPOTENCY_MS });
    return await this.#store.put(writes, [isNew, { key, version: undefined }]);
  }

  async created(request: IdempotentRequest): Promise<CreatedRun | undefined> {
    return (await this.#store.get<CreatedRun>(createdKey(request)))?.value;
  }

  async get(id: string): Promise<Run | undefined> {
    if (id.length > MAX_ID_LENGTH) return undefined;
    return (await this.#store.get<Run>(["runs", id]))?.value;
  }

  async list(): Promise<Run[]> {
    const runs = (await this.#store.list<Run>({ prefix: ["runs"] })).map(({ value }) => value);
    return runs.sort(newestFirst);
  }

  async summaries(): Promise<RunEntry[]> {
    const entries = await this.#store.list<RunSummary>({ prefix: [RUNS_BY_TIME] });
    return entries.map(({ key: [, created_at, id], value }) => ({
      ...value,
      id: String(id),
      created_at: String(created_at),
    }));
  }

  async *newest(
    after?: Pick<Run, "id" | "created_at">,
    isWanted: (summary: RunSummary) => boolean = () => true,
  ): AsyncGenerator<Run> {
    yield* this.#newest(RUNS_BY_TIME, (id) => this.get(id), after, isWanted);
  }

  async delete(id: string): Promise<void> {
    const run = await this.get(id);
    const events = await this.#store.list({ prefix: ["events", id] });
    const keys: Key[] = [["runs", id], ...events.map(({ key }) => key)];
    if (run !== undefined) keys.unshift(indexKey(RUNS_BY_TIME, run));
    while (keys.length > 0) {
      await this.#store.put(keys.splice(0, MAX_WRITES).map((key) => ({ key })));
    }
  }

  async update(id: string, decide: (run: Run) => RunUpdate): Promise<Run> {
    // If another change comes between reading and writing, this one is made on top of it.
    while (true) {
      const entry = await this.#store.get<Run>(["runs", id]);
      if (entry === undefined) throw new RangeError(`Cannot change run '${id}': there is none`);
      const { change, event } = decide(entry.value);
      const run: Run = { ...entry.value, ...change };
      const writes: Write[] = [{ key: ["runs", id], value: run }];
      if (run.state !== entry.value.state) {
        writes.push({ key: indexKey(RUNS_BY_TIME, run), value: summaryOf(run) });
      }
      if (event !== undefined) {
        run.event_count = entry.value.event_count + 1;
        writes.push({ key: ["events", id, run.event_count], value: event });
      }
      if (await this.#store.put(writes, [{ key: ["runs", id], version: entry.version }])) {
        return run;
      }
    }
  }

  watch(id: string, signal: AbortSignal): AsyncGenerator<Run | undefined> {
    return this.#store.watch<Run>(["runs", id], signal);
  }

  async eventsSoFar(id: string, after: number): Promise<NumberedEvent[]> {
    const entries = await this.#store.list<RunEvent>({
      prefix: ["events", id],
      start: ["events", id, after + 1],
    });
    return entries.map(({ key, value: event }) => ({ id: Number(key[2]), event }));
  }

  async createEvaluation(evaluation: Evaluation): Promise<void> {
    await this.#store.put([
      { key: ["evaluations", evaluation.id], value: evaluation },
      indexEntry(evaluation),
    ]);
  }

  async getEvaluation(id: string): Promise<Evaluation | undefined> {
    if (id.length > MAX_ID_LENGTH) return undefined;
    return (await this.#store.get<Evaluation>(["evaluations", id]))?.value;
  }

  async listEvaluations(): Promise<Evaluation[]> {
    const entries = await this.#store.list<Evaluation>({ prefix: ["evaluations"] });
    return entries.map(({ value }) => value).sort(newestFirst);
  }

  async *newestEvaluations(
    after?: Pick<Evaluation, "id" | "created_at">,
    isWanted: (summary: EvaluationSummary) => boolean = () => true,
  ): AsyncGenerator<Evaluation> {
    yield* this.#newest(EVALUATIONS_BY_TIME, (id) => this.getEvaluation(id), after, isWanted);
  }

  async updateEvaluation(
    id: string,
    decide: (evaluation: Evaluation) => Partial<Evaluation>,
  ): Promise<Evaluation> {
    const key = ["evaluations", id];
    while (true) {
      const entry = await this.#store.get<Evaluation>(key);
      if (entry === undefined) {
        throw new RangeError(`Cannot change evaluation '${id}': there is none`);
      }
      const evaluation = { ...entry.value, ...decide(entry.value) };
      const expected = [{ key, version: entry.version }];
      if (await this.#store.put([{ key, value: evaluation }], expected)) return evaluation;
    }
  }

  // deno-lint-ignore require-await
  async enqueue(task: Task): Promise<void> {
    if (this.#queue.some(({ id }) => id === task.id)) return;
    const [claimer] = this.#claimers;
    if (claimer === undefined) {
      this.#queue.push(task);
      return;
    }
    this.#claimers.delete(claimer);
    claimer(task);
  }

  // deno-lint-ignore require-await
  async withdraw(id: string): Promise<void> {
    this.#queue = this.#queue.filter((task) => task.id !== id);
  }

  async claim(signal: AbortSignal): Promise<Claim | undefined> {
    if (signal.aborted) return undefined;
    const task = this.#queue.shift() ?? await this.#nextTask(signal);
    if (task === undefined) return undefined;
    return {
      ...task,
      keepAlive: async () => {},
      release: async () => {},
      giveBack: async () => {},
    };
  }

  close(): void {
    this.#store[Symbol.dispose]();
  }

  /** Yields values in the order of an index, the newest first. */
  async *#newest<Summary, Value>(
    index: string,
    get: (id: string) => Promise<Value | undefined>,
    after: Moment | undefined,
    isWanted: (summary: Summary) => boolean,
  ): AsyncGenerator<Value> {
    let end = after && indexKey(index, after);
    while (true) {
      const entries = await this.#store.list<Summary>({
        prefix: [index],
        ...end !== undefined && { end },
        limit: INDEX_PAGE,
        reverse: true,
      });
      const wanted = entries.filter(({ value }) => isWanted(value));
      const found = await Promise.all(wanted.map(({ key }) => get(String(key.at(-1)))));
      for (const value of found) if (value !== undefined) yield value;
      if (entries.length < INDEX_PAGE) return;
      end = entries.at(-1)!.key;
    }
  }

  async #nextTask(signal: AbortSignal): Promise<Task | undefined> {
    const { promise, resolve } = Promise.withResolvers<Task | undefined>();
    const stop = () => resolve(undefined);
    this.#claimers.add(resolve);
    signal.addEventListener("abort", stop, { once: true });
    try {
      return await promise;
    } finally {
      this.#claimers.delete(resolve);
      signal.removeEventListener("abort", stop);
    }
  }
}

type Moment = Pick<Run, "created_at" | "id">;

function indexKey(index: string, { created_at, id }: Moment): Key {
  return [index, created_at, id];
}

function indexEntry(evaluation: Evaluation): Write {
  const { model, dataset } = evaluation;
  const value: EvaluationSummary = { model, dataset };
  return { key: indexKey(EVALUATIONS_BY_TIME, evaluation), value };
}

/** Adds the runs of a store that was written before there was an index. */
async function indexRuns(store: Store): Promise<void> {
  await addIndex(store, INDEXED, "runs", (run: Run): Write => ({
    key: indexKey(RUNS_BY_TIME, run),
    value: summaryOf(run),
  }));
}

/** The same for evaluations. */
async function indexEvaluations(store: Store): Promise<void> {
  await addIndex(store, EVALUATIONS_INDEXED, "evaluations", indexEntry);
}

async function addIndex<Value>(
  store: Store,
  done: Key,
  kind: string,
  entryOf: (value: Value) => Write,
): Promise<void> {
  if (await store.get(done) !== undefined) return;
  const writes = (await store.list<Value>({ prefix: [kind] })).map(({ value }) => entryOf(value));
  while (writes.length > 0) await store.put(writes.splice(0, MAX_WRITES));
  await store.put([{ key: done, value: true }]);
}

function createdKey({ owner, key }: IdempotentRequest): Key {
  return ["created", owner, key];
}
