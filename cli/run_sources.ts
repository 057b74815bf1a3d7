/**
 * The sources of a server's runs: the running server, or the file of its state.
 *
 * @module
 */
import { join } from "node:path";
import { exists } from "../lib/files.ts";
import { UserError } from "../lib/user_error.ts";
import { KvRunStore } from "../orchestration/kv_run_store.ts";
import {
  isOver,
  type NumberedEvent,
  type Run,
  RunStateError,
  type RunStore,
} from "../orchestration/run_store.ts";
import { lockState, serverAddress, STATE_FILE } from "../orchestration/server_state.ts";
import { Supervisor } from "../orchestration/supervisor.ts";
import { apiKeyVariable } from "./api_key.ts";

/** Where a server listens by default. */
export const USUAL_SERVER = "http://127.0.0.1:8000";

/** The source of runs: a server, or its state. */
export interface RunSource extends AsyncDisposable {
  /** The sentence that stands for an empty list. */
  readonly none: string;
  list(): Promise<Run[]>;
  get(id: string): Promise<Run>;
  events(id: string): AsyncIterable<NumberedEvent>;
  cancel(id: string): Promise<Run>;
  resume(id: string): Promise<Run>;
  /** Returns the model's name, and the version that its requests get from then on. */
  promote(id: string, otherClasses: boolean): Promise<{ name: string; version: number }>;
}

/**
 * Opens the source of the runs of a folder.
 *
 * @param server The address of the server; by default that of the folder's.
 * @throws {UserError} If there is neither a server nor its state.
 */
export async function openSource(
  { server, runs }: { server?: string; runs: string },
): Promise<RunSource> {
  const servers = server === undefined
    ? [await serverAddress(runs), USUAL_SERVER].filter((address) => address !== undefined)
    : [server];
  for (const server of servers) {
    const source = await openServer(server);
    if (source !== undefined) return source;
  }
  const kv = join(runs, STATE_FILE);
  if (await exists(kv)) return await FileSource.open(runs, kv);
  throw new UserError(`Cannot find a server at '${servers.at(-1)}', nor its state in '${kv}'`);
}

/** The server at an address; `undefined` where none listens. */
async function openServer(server: string): Promise<RunSource | undefined> {
  const apiKey = apiKeyVariable();
  if (!URL.canParse(server)) throw new UserError(`Cannot ask '${server}': it is not a URL`);
  const headers = apiKey === undefined ? {} : { Authorization: `Bearer ${apiKey}` };
  try {
    await (await fetch(routeOf(server, "/health/live"), { headers })).body?.cancel();
    return new ServerSource(server, headers);
  } catch (error) {
    // No server listens there.
    if (!(error instanceof TypeError)) throw error;
    return undefined;
  }
}

/** A route of a server, which may be mounted below a path. */
function routeOf(server: string, path: string): string {
  return server.replace(/\/+$/, "") + path;
}

class ServerSource implements RunSource {
  readonly none = "There is no run yet";
  readonly #server: string;
  readonly #headers: HeadersInit;

  constructor(server: string, headers: HeadersInit) {
    this.#server = server;
    this.#headers = headers;
  }

  async list(): Promise<Run[]> {
    const runs: Run[] = [];
    let after = "";
    while (true) {
      const page: { runs: Run[]; next: string | null } = await this.#json(
        "GET",
        `/v1/runs?limit=200${after}`,
      );
      runs.push(...page.runs);
      if (page.next === null) return runs;
      after = `&after=${encodeURIComponent(page.next)}`;
    }
  }

  get(id: string): Promise<Run> {
    return this.#json("GET", `/v1/runs/${encodeURIComponent(id)}`);
  }

  async *events(id: string): AsyncGenerator<NumberedEvent> {
    const { body } = await this.#fetch("GET", `/v1/runs/${encodeURIComponent(id)}/events`);
    let text = "";
    for await (const part of body!.pipeThrough(new TextDecoderStream())) {
      const blocks = (text + part).split("\n\n");
      text = blocks.pop()!;
      for (const block of blocks) {
        const field = (name: string) => new RegExp(`^${name}: ?(.*)$`, "m").exec(block)?.[1];
        const data = field("data");
        if (data !== undefined) yield { id: Number(field("id")), event: JSON.parse(data) };
      }
    }
  }

  cancel(id: string): Promise<Run> {
    return this.#json("POST", `/v1/runs/${encodeURIComponent(id)}/cancel`);
  }

  resume(id: string): Promise<Run> {
    return this.#json("POST", `/v1/runs/${encodeURIComponent(id)}/resume`);
  }

  async promote(id: string, otherClasses: boolean): Promise<{ name: string; version: number }> {
    const { name, state } = await this.get(id);
    const path = `/v1/models/${encodeURIComponent(name)}`;
    if (state !== "succeeded") throw new UserError(`Cannot promote run '${id}': it is ${state}`);
    const { versions } = await this.#json<{ versions: { version: number; run: string | null }[] }>(
      "GET",
      path,
    );
    const version = versions.findLast(({ run }) => run === id)?.version;
    if (version === undefined) {
      throw new UserError(`Cannot promote run '${id}': '${name}' has no version of it`);
    }
    const body = { version, other_classes: otherClasses };
    await this.#json("PUT", `${path}/aliases/current`, body);
    return { name, version };
  }

  async #json<Answer>(method: string, path: string, body?: unknown): Promise<Answer> {
    return await (await this.#fetch(method, path, body)).json();
  }

  async #fetch(method: string, path: string, body?: unknown): Promise<Response> {
    const response = await fetch(routeOf(this.#server, path), {
      method,
      headers: this.#headers,
      ...body !== undefined && { body: JSON.stringify(body) },
    });
    if (response.ok) return response;
    const { error } = await response.json().catch(() => ({ error: response.statusText }));
    throw new UserError(`The server at '${this.#server}' answered ${response.status}: ${error}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

class FileSource implements RunSource {
  readonly none =
    "No server has trained here yet; one that runs lists the command line's runs, too";
  readonly #store: RunStore;
  readonly #supervisor: Supervisor;
  readonly #lock: Disposable;

  private constructor(runsDir: string, store: RunStore, lock: Disposable) {
    this.#store = store;
    // Nothing is trained here: queued runs wait for the next server.
    this.#supervisor = new Supervisor({ store, runsDir, datasetDir: (name) => name, workers: 0 });
    this.#lock = lock;
  }

  static async open(runsDir: string, kv: string): Promise<FileSource> {
    const lock = await lockState(kv);
    return new FileSource(runsDir, await KvRunStore.open(kv), lock);
  }

  list(): Promise<Run[]> {
    return this.#store.list();
  }

  async get(id: string): Promise<Run> {
    const run = await this.#store.get(id);
    if (run === undefined) throw new UserError(`There is no run '${id}'`);
    return run;
  }

  async *events(id: string): AsyncGenerator<NumberedEvent> {
    const { event_count } = await this.get(id);
    if (event_count === 0) return;
    const aborted = new AbortController();
    for await (const event of this.#store.events(id, 0, aborted.signal)) {
      yield event;
      // Without a server no more events come.
      if (event.id >= event_count) return;
    }
  }

  async cancel(id: string): Promise<Run> {
    const run = await this.get(id);
    if (isOver(run)) throw new UserError(`Cannot cancel run '${id}': it is ${run.state}`);
    const finished_at = new Date().toISOString();
    return await this.#store.setState(id, "cancelled", { finished_at, cancelling: false });
  }

  async resume(id: string): Promise<Run> {
    await this.get(id);
    try {
      return await this.#supervisor.resume(id);
    } catch (error) {
      throw error instanceof RunStateError ? new UserError(error.message) : error;
    }
  }

  promote(id: string): Promise<never> {
    throw new UserError(`Cannot promote run '${id}': no server runs that answers requests`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#supervisor.close();
    this.#store.close();
    this.#lock[Symbol.dispose]();
  }
}
