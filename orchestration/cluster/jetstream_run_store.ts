/**
 * The runs and evaluations of a cluster: each is a key of a bucket, events are a stream, and the
 * queue is a stream that gives a task to another worker if the first says nothing for too long.
 *
 * A run's last event is written with the run itself, and then to the stream: a reader that finds it
 * missing there adds it. So a run and its events change together without transactions.
 *
 * @module
 */
import type { Consumer, JsMsg } from "@nats-io/jetstream";
import type { KV } from "@nats-io/kv";
import { createHash } from "node:crypto";
import {
  type Claim,
  type CreatedRun,
  type Evaluation,
  type EvaluationSummary,
  type IdempotentRequest,
  isOver,
  newestFirst,
  type NumberedEvent,
  type Run,
  type RunEntry,
  type RunEvent,
  RunStore,
  type RunSummary,
  type RunUpdate,
  summaryOf,
  type Task,
} from "../run_store.ts";
import { type Cluster, isConflict } from "./connection.ts";
import { WatchedBucket } from "./watched_bucket.ts";

/** A run with its last event, which may not be in the stream yet. */
interface StoredRun {
  run: Run;
  event: RunEvent;
}

/** The run that a request has created, whole, in case the run itself could not be written. */
interface StoredRequest extends CreatedRun {
  run: Run;
}

/** The devices and labels of a worker, which takes only tasks that ask for nothing else. */
export interface Offer {
  /** The devices that the worker has. */
  devices: readonly string[];
  /** The operator's labels, for runs that are not for every machine. */
  labels?: readonly string[];
}

/** The last event of a run's stream. */
interface LastEvent {
  id: number;
  sequence: number;
}

/** The device of tasks that any device may do. */
const ANY_DEVICE = "auto";
/** How long a repeated request to create a run creates no other. */
const IDEMPOTENCY_MS = 24 * 3600_000;
/** The number of runs of a list that are read at once: a page, and whether there are more. */
const PAGE = 51;
/** The number of runs whose last event's place in the stream is kept in memory. */
const KNOWN_ENDS = 1000;
/** The interval at which a waiting worker asks for a task again. */
const PULL_MS = 5000;
/** The interval at which a watched run is read again, with or without news. */
const LOOK_MS = 5000;
/** The interval at which runs missing from the queue are added, in case a server died too early. */
const SWEEP_MS = 30_000;

/** Keeps runs, their events, evaluations and the queue in NATS JetStream. */
export class JetStreamRunStore extends RunStore {
  readonly #cluster: Cluster;
  readonly #runs: WatchedBucket<StoredRun, RunEntry>;
  readonly #evaluations: WatchedBucket<Evaluation>;
  readonly #requests: KV;
  readonly #events: string;
  readonly #queue: string;
  readonly #consumers: readonly Consumer[];
  readonly #ends = new Map<string, LastEvent>();
  /** The runs by time, computed on demand. */
  #byTime: RunEntry[] | undefined;
  readonly #sweeper: ReturnType<typeof setInterval>;

  private constructor(
    cluster: Cluster,
    runs: WatchedBucket<StoredRun, RunEntry>,
    evaluations: WatchedBucket<Evaluation>,
    requests: KV,
    streams: { events: string; queue: string },
    consumers: readonly Consumer[],
  ) {
    super();
    this.#cluster = cluster;
    this.#runs = runs;
    this.#evaluations = evaluations;
    this.#requests = requests;
    this.#events = streams.events;
    this.#queue = streams.queue;
    this.#consumers = consumers;
    runs.listen(() => this.#byTime = undefined);
    this.#sweeper = setInterval(() => {
      this.sweep().catch((error) =>
        console.error(`Cannot look through the queue: ${error.message}`)
      );
    }, SWEEP_MS);
  }

  /**
   * Opens the runs of a cluster.
   *
   * @param offer The devices and labels that are offered to tasks here; without it no task can be
   * claimed.
   */
  static async open(cluster: Cluster, offer?: Offer): Promise<JetStreamRunStore> {
    using opened = new DisposableStack();
    const runs = opened.adopt(
      await WatchedBucket.open<StoredRun, RunEntry>(
        cluster,
        "runs",
        ({ run }) => ({ ...summaryOf(run), id: run.id, created_at: run.created_at }),
      ),
      (it) => it.close(),
    );
    const evaluations = opened.adopt(
      await WatchedBucket.open(cluster, "evaluations", (it: Evaluation) => it),
      (it) => it.close(),
    );
    const requests = await cluster.bucket("requests", { ttlMs: IDEMPOTENCY_MS });
    const streams = { events: await cluster.events(), queue: await cluster.queue() };
    const consumers: Consumer[] = [];
    for (const name of offer === undefined ? [] : consumersOf(offer)) {
      const filter = `${cluster.name}.queue.${name}.>`;
      consumers.push(await cluster.consumer(streams.queue, name, filter));
    }
    opened.move();
    return new JetStreamRunStore(cluster, runs, evaluations, requests, streams, consumers);
  }

  get queueLength(): number {
    let length = 0;
    for (const bucket of [this.#runs, this.#evaluations]) {
      for (const [, entry] of bucket.entries()) {
        if (entry.state === "queued" && !isTrial(entry)) length++;
      }
    }
    return length;
  }

  async create(run: Run, created?: IdempotentRequest): Promise<boolean> {
    if (created === undefined) return await this.#create(run);
    const value = { sha256: created.sha256, runId: run.id, run } satisfies StoredRequest;
    const isFirst = await this.#cluster.reach(async () => {
      try {
        await this.#requests.create(requestKey(created), JSON.stringify(value));
        return true;
      } catch (error) {
        if (!isConflict(error)) throw error;
        // It may be this very request, whose answer was lost.
        return (await this.created(created))?.runId === run.id;
      }
    });
    if (isFirst) await this.#create(run);
    return isFirst;
  }

  async created(request: IdempotentRequest): Promise<CreatedRun | undefined> {
    const entry = await this.#cluster.reach(() => this.#requests.get(requestKey(request)));
    if (entry === null) return undefined;
    const { sha256, runId, run } = entry.json<StoredRequest>();
    // The process that wrote the request may have died before it wrote the run.
    if (this.#runs.summary(runId) === undefined) await this.#create(run);
    return { sha256, runId };
  }

  async get(id: string): Promise<Run | undefined> {
    return (await this.#runs.get(id))?.run;
  }

  async list(): Promise<Run[]> {
    return await Array.fromAsync(this.newest());
  }

  // deno-lint-ignore require-await
  async summaries(): Promise<RunEntry[]> {
    return [...this.#runs.entries()].map(([, entry]) => entry);
  }

  async *newest(
    after?: Pick<Run, "id" | "created_at">,
    isWanted: (summary: RunSummary) => boolean = () => true,
  ): AsyncGenerator<Run> {
    const isBelow = (entry: RunEntry) => after === undefined || byTime(after, entry) < 0;
    const wanted = this.#sorted().filter((entry) => isBelow(entry) && isWanted(entry));
    for (let start = 0; start < wanted.length; start += PAGE) {
      const page = wanted.slice(start, start + PAGE);
      const runs = await Promise.all(page.map(({ id }) => this.get(id)));
      for (const run of runs) if (run !== undefined) yield run;
    }
  }

  async delete(id: string): Promise<void> {
    await this.#runs.delete(id);
    this.#ends.delete(id);
    let sequence = Infinity;
    while (true) {
      const last = await this.#cluster.reach(() => this.#lastEvent(id));
      // There is no event left, or the last one is not to be removed.
      if (last.sequence === 0 || last.sequence >= sequence) return;
      ({ sequence } = last);
      await this.#cluster.deleteMessage(this.#events, sequence);
    }
  }

  async update(id: string, decide: (run: Run) => RunUpdate): Promise<Run> {
    let hasEvent = false;
    const { run, event } = await this.#runs.update(id, async (stored) => {
      if (stored === undefined) throw new RangeError(`Cannot change run '${id}': there is none`);
      const { change, event } = decide(stored.run);
      hasEvent = event !== undefined;
      const run = { ...stored.run, ...change };
      if (event === undefined) return { run, event: stored.event };
      await this.#publish(stored);
      return { run: { ...run, event_count: stored.run.event_count + 1 }, event };
    });
    // If this fails, the next reader does it.
    if (hasEvent) await this.#publish({ run, event }).catch(() => {});
    return run;
  }

  async *watch(id: string, signal: AbortSignal): AsyncGenerator<Run | undefined> {
    let next = Promise.withResolvers<void>();
    using _listening = this.#runs.listen((key) => {
      if (key === id) next.resolve();
    });
    const wake = () => next.resolve();
    signal.addEventListener("abort", wake, { once: true });
    try {
      while (!signal.aborted) {
        next = Promise.withResolvers();
        if (signal.aborted) return;
        yield await this.get(id);
        // News may be late if the NATS node that sent it is gone.
        const timer = setTimeout(wake, LOOK_MS);
        await next.promise;
        clearTimeout(timer);
      }
    } finally {
      signal.removeEventListener("abort", wake);
    }
  }

  async eventsSoFar(id: string, after: number): Promise<NumberedEvent[]> {
    const stored = await this.#runs.get(id);
    if (stored === undefined || stored.run.event_count <= after) return [];
    const last = { id: stored.run.event_count, event: stored.event };
    if (last.id === after + 1) return [last];
    const events = await this.#cluster.reach(() => this.#read(id, after));
    return events.at(-1)?.id === last.id - 1 ? [...events, last] : events;
  }

  async createEvaluation(evaluation: Evaluation): Promise<void> {
    await this.#evaluations.create(evaluation.id, evaluation);
  }

  async getEvaluation(id: string): Promise<Evaluation | undefined> {
    return await this.#evaluations.get(id);
  }

  // deno-lint-ignore require-await
  async listEvaluations(): Promise<Evaluation[]> {
    return [...this.#evaluations.entries()].map(([, evaluation]) => evaluation).sort(newestFirst);
  }

  async *newestEvaluations(
    after?: Pick<Evaluation, "id" | "created_at">,
    isWanted: (summary: EvaluationSummary) => boolean = () => true,
  ): AsyncGenerator<Evaluation> {
    for (const evaluation of await this.listEvaluations()) {
      if (after !== undefined && newestFirst(evaluation, after) <= 0) continue;
      if (isWanted(evaluation)) yield evaluation;
    }
  }

  async updateEvaluation(
    id: string,
    decide: (evaluation: Evaluation) => Partial<Evaluation>,
  ): Promise<Evaluation> {
    return await this.#evaluations.update(id, (evaluation): Evaluation => {
      if (evaluation !== undefined) return { ...evaluation, ...decide(evaluation) };
      throw new RangeError(`Cannot change evaluation '${id}': there is none`);
    });
  }

  async enqueue(task: Task): Promise<void> {
    const { kind, id } = task;
    const run = kind === "run" ? await this.get(id) : undefined;
    const device = run === undefined
      ? (await this.getEvaluation(id))?.job.device
      : run.settings["device"];
    const consumer = consumerOf(String(device ?? ANY_DEVICE), run?.worker_label);
    const subject = `${this.#cluster.name}.queue.${consumer}.${kind}.${id}`;
    await this.#cluster.reach(async () => {
      try {
        await this.#cluster.jetstream.publish(subject, JSON.stringify(task));
      } catch (error) {
        // The task is in the queue already, or a worker has it.
        if (!/maximum messages per subject/.test(String(error))) throw error;
      }
    });
  }

  /** Does nothing: a worker that claims a task that is over drops it. */
  async withdraw(): Promise<void> {}

  async claim(signal: AbortSignal): Promise<Claim | undefined> {
    while (!signal.aborted) {
      const message = await this.#pull(signal);
      if (message !== undefined) return this.#claimOf(message);
    }
    return undefined;
  }

  /** Writes a run that was kept elsewhere, with all its events, unless it exists already. */
  async restore(run: Run, events: readonly NumberedEvent[]): Promise<void> {
    const last = events.at(-1);
    if (last === undefined || await this.get(run.id) !== undefined) return;
    for (const { id: event_count, event } of events) {
      await this.#publish({ run: { ...run, event_count }, event });
    }
    await this.#runs.create(run.id, { run: { ...run, event_count: last.id }, event: last.event });
  }

  /** Queues the tasks that are queued by their state but missing from the queue. */
  async sweep(): Promise<void> {
    const { state } = await this.#cluster.reach(() =>
      this.#cluster.manager.streams.info(this.#queue, { subjects_filter: ">" })
    );
    const waiting = new Set(Object.keys(state.subjects ?? {}).map((it) => it.split(".").at(-1)));
    const settledAt = Date.now() - SWEEP_MS;
    const buckets = { run: this.#runs, evaluation: this.#evaluations } as const;
    for (const [kind, bucket] of Object.entries(buckets)) {
      for (const [id, entry] of bucket.entries()) {
        const isNew = Date.parse(entry.created_at) > settledAt;
        if (isOver(entry) || isTrial(entry) || waiting.has(id) || isNew) continue;
        await this.enqueue({ kind: kind as Task["kind"], id });
      }
    }
  }

  /** The number of tasks that wait, and of those that workers have. */
  async queueState(): Promise<{ waiting: number; leased: number }> {
    const { consumers } = this.#cluster.manager;
    const infos = await this.#cluster.reach(() => consumers.list(this.#queue).next());
    const { state } = await this.#cluster.reach(() =>
      this.#cluster.manager.streams.info(this.#queue)
    );
    const leased = infos.reduce((sum, { num_ack_pending }) => sum + num_ack_pending, 0);
    return { waiting: state.messages - leased, leased };
  }

  /** The tasks that none of these workers takes: how many ask for which device and label. */
  async unserved(
    workers: readonly Offer[],
  ): Promise<{ device: string; label?: string; tasks: number }[]> {
    const served = new Set(workers.flatMap(consumersOf));
    const { state } = await this.#cluster.reach(() =>
      this.#cluster.manager.streams.info(this.#queue, { subjects_filter: ">" })
    );
    const counts = new Map<string, number>();
    for (const subject of Object.keys(state.subjects ?? {})) {
      const consumer = subject.slice(`${this.#cluster.name}.queue.`.length).split(".")[0]!;
      if (!served.has(consumer)) counts.set(consumer, (counts.get(consumer) ?? 0) + 1);
    }
    return [...counts].sort().map(([consumer, tasks]) => {
      const [device, ...label] = consumer.split("-");
      return { device: device!, ...label.length > 0 && { label: label.join("-") }, tasks };
    });
  }

  close(): void {
    clearInterval(this.#sweeper);
    this.#runs.close();
    this.#evaluations.close();
  }

  async #create(run: Run): Promise<boolean> {
    const event: RunEvent = { type: "state", state: run.state };
    const stored = { run: { ...run, event_count: 1 }, event };
    if (!await this.#runs.create(run.id, stored)) return false;
    await this.#publish(stored).catch(() => {});
    return true;
  }

  /** Writes a run's last event to the stream, unless it is there. */
  async #publish({ run: { id, event_count }, event }: StoredRun): Promise<void> {
    await this.#cluster.reach(async () => {
      while (true) {
        const last = this.#ends.get(id) ?? await this.#lastEvent(id);
        if (last.id >= event_count) return;
        const numbered: NumberedEvent = { id: event_count, event };
        try {
          const { seq } = await this.#cluster.jetstream.publish(
            this.#subject(id),
            JSON.stringify(numbered),
            { expect: { lastSubjectSequence: last.sequence } },
          );
          this.#remember(id, { id: event_count, sequence: seq });
          return;
        } catch (error) {
          this.#ends.delete(id);
          if (!isConflict(error)) throw error;
        }
      }
    });
  }

  async #lastEvent(id: string): Promise<LastEvent> {
    const query = { last_by_subj: this.#subject(id) };
    const found = await this.#cluster.manager.streams.getMessage(this.#events, query);
    if (found === null) return { id: 0, sequence: 0 };
    return { id: found.json<NumberedEvent>().id, sequence: found.seq };
  }

  #remember(id: string, end: LastEvent): void {
    this.#ends.delete(id);
    this.#ends.set(id, end);
    const [oldest] = this.#ends.keys();
    if (this.#ends.size > KNOWN_ENDS) this.#ends.delete(oldest!);
  }

  /** The events of a run's stream, without a last one that has not been written yet. */
  async #read(id: string, after: number): Promise<NumberedEvent[]> {
    const consumer = await this.#cluster.jetstream.consumers.get(this.#events, {
      filter_subjects: this.#subject(id),
    });
    const events: NumberedEvent[] = [];
    let { num_pending: left } = await consumer.info(true);
    while (left > 0) {
      for await (
        const message of await consumer.fetch({ max_messages: Math.min(left, 500), expires: 3000 })
      ) {
        left = message.info.pending;
        const numbered = message.json<NumberedEvent>();
        if (numbered.id > after) events.push(numbered);
      }
    }
    void consumer.delete().catch(() => {});
    return events;
  }

  /** The runs, the newest first. */
  #sorted(): RunEntry[] {
    return this.#byTime ??= [...this.#runs.entries()].map(([, entry]) => entry).sort(byTime);
  }

  async #pull(signal: AbortSignal): Promise<JsMsg | undefined> {
    const { promise: aborted, resolve } = Promise.withResolvers<null>();
    const stop = () => resolve(null);
    signal.addEventListener("abort", stop, { once: true });
    let taken: JsMsg | undefined;
    let isOver = false;
    const pulls = this.#consumers.map(async (consumer) => {
      const message = await consumer.next({ expires: PULL_MS });
      if (message === null) return;
      if (taken !== undefined || isOver) message.nak();
      else taken = message;
      resolve(null);
    });
    const all = Promise.allSettled(pulls);
    await Promise.race([aborted, all]);
    isOver = true;
    signal.removeEventListener("abort", stop);
    if (
      taken === undefined && !signal.aborted && (await all).every((it) => it.status === "rejected")
    ) {
      // The cluster does not answer.
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    return taken;
  }

  #claimOf(message: JsMsg): Claim {
    const { kind, id } = message.json<Task>();
    return {
      kind,
      id,
      leaseMs: this.#cluster.leaseMs,
      // deno-lint-ignore require-await
      keepAlive: async () => message.working(),
      release: async () => void await this.#cluster.reach(() => message.ackAck()),
      // deno-lint-ignore require-await
      giveBack: async () => message.nak(),
    };
  }

  #subject(id: string): string {
    return `${this.#cluster.name}.events.${id}`;
  }
}

/** Whether a run is never queued, as the worker of another one trains it. */
function isTrial(entry: RunEntry | Evaluation): boolean {
  return "trial_of" in entry;
}

/** Orders the newest first; runs of the same moment are in Deno KV's order. */
function byTime(a: Pick<Run, "created_at" | "id">, b: Pick<Run, "created_at" | "id">): number {
  return newestFirst(a, b) || (b.id < a.id ? -1 : Number(b.id > a.id));
}

/** The name of the consumer of the queue for tasks with this device and label. */
function consumerOf(device: string, label?: string): string {
  return label === undefined ? device : `${device}-${label}`;
}

function consumersOf({ devices, labels = [] }: Offer): string[] {
  return [ANY_DEVICE, ...devices].flatMap((device) => [
    consumerOf(device),
    ...labels.map((label) => consumerOf(device, label)),
  ]);
}

function requestKey({ owner, key }: IdempotentRequest): string {
  return createHash("sha256").update(JSON.stringify([owner, key])).digest("hex");
}
