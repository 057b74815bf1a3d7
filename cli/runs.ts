/**
 * `runs`: a server's training runs on the command line. It asks the running server; without one it
 * reads the state from its file, which only one process may own.
 *
 * @module
 */
import { Command } from "commander";
import Table from "cli-table3";
import { join } from "node:path";
import { exists } from "../lib/files.ts";
import { percent } from "../lib/format.ts";
import { UserError } from "../lib/user_error.ts";
import { API_KEY_VARIABLE } from "../routes/access.ts";
import { apiKeyVariable } from "./api_key.ts";
import { RUNS_DIR } from "../training/folder/run_folder.ts";
import { KvRunStore } from "../orchestration/kv_run_store.ts";
import {
  isOver,
  type NumberedEvent,
  type Run,
  type RunEvent,
  RunStateError,
  type RunStore,
} from "../orchestration/run_store.ts";
import { Supervisor } from "../orchestration/supervisor.ts";
import { lockState, serverAddress, STATE_FILE } from "../orchestration/server_state.ts";

/** The columns that a list of runs with all it says may take. */
const LIST_WIDTH = 120;
/** Where a server listens by default. */
const USUAL_SERVER = "http://127.0.0.1:8000";

interface Options {
  server?: string;
  runs: string;
  json?: boolean;
  otherClasses?: boolean;
}

/** The command with its sub-commands. */
export function runsCommand(): Command {
  const command = new Command("runs").description("See and steer what a server trains");
  const add = (name: string, description: string) => {
    const added = new Command(name)
      .description(description)
      .option(
        "--server <url>",
        `Address of the server; default: that of the folder's server, or ${USUAL_SERVER}; the key ` +
          `that it asks for is in ${API_KEY_VARIABLE}`,
      )
      .option("--runs <dir>", "Folder of the runs", RUNS_DIR)
      .option("--json", "Print JSON on standard output");
    command.addCommand(added);
    return added;
  };
  const ofOne = (name: string, description: string) =>
    add(name, description).argument("<id>", "The run's id");
  add("list", "All runs, the newest first").action(list);
  ofOne("show", "One run").action(show);
  ofOne("logs", "The events of a run, until it is over").action(logs);
  ofOne("cancel", "Stop a run within a step, with a checkpoint").action(cancel);
  ofOne("resume", "Go on with a run that was cancelled or has failed").action(resume);
  ofOne("promote", "Let a run's model answer the requests for its name")
    .option("--other-classes", "Even if its classes differ from those before")
    .action(promote);
  return command;
}

/** The source of runs: a server, or its state. */
interface Source extends AsyncDisposable {
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

async function list(options: Options): Promise<void> {
  await using source = await open(options);
  const runs = await source.list();
  if (options.json) return console.log(JSON.stringify(runs));
  if (runs.length === 0) return console.log(source.none);
  // On narrow terminals what identifies a run comes first, and the rest is left to 'runs show'.
  const isNarrow = Deno.stdout.isTerminal() && Deno.consoleSize().columns < LIST_WIDTH;
  const more = isNarrow ? [] : ["data", "attempts", "created"];
  const table = new Table({
    head: ["id", "name", "state", "accuracy", ...more],
    style: { head: [], border: [], compact: true },
  });
  for (const { id, name, state, dataset, attempt, created_at, result } of runs) {
    const accuracy = result?.metrics !== undefined && "accuracy" in result.metrics
      ? percent(result.metrics.accuracy)
      : "";
    const created = created_at.slice(0, 16).replace("T", " ");
    const rest = isNarrow ? [] : [dataset, attempt, created];
    table.push([id, name === id ? "" : name, state, accuracy, ...rest]);
  }
  console.log(`${table}`);
}

async function show(id: string, options: Options): Promise<void> {
  await using source = await open(options);
  print(await source.get(id), options);
}

async function logs(id: string, options: Options): Promise<void> {
  await using source = await open(options);
  await source.get(id);
  for await (const { event } of source.events(id)) {
    console.log(options.json ? JSON.stringify(event) : describe(event));
  }
}

async function cancel(id: string, options: Options): Promise<void> {
  await using source = await open(options);
  print(await source.cancel(id), options);
}

async function resume(id: string, options: Options): Promise<void> {
  await using source = await open(options);
  print(await source.resume(id), options);
}

async function promote(id: string, options: Options): Promise<void> {
  await using source = await open(options);
  const { name, version } = await source.promote(id, options.otherClasses ?? false);
  console.log(
    options.json
      ? JSON.stringify({ name, version })
      : `Requests for '${name}' get its version ${version}`,
  );
}

function print(run: Run, { json }: Options): void {
  if (json) return console.log(JSON.stringify(run));
  const { settings, result, ...rest } = run;
  const table = new Table({ style: { head: [], border: [], compact: true } });
  for (const [key, value] of Object.entries(rest)) {
    if (value === undefined || value === null) continue;
    table.push([key, typeof value === "object" ? valuesOf(value) : `${value}`]);
  }
  table.push(["settings", valuesOf(settings)]);
  for (const [key, value] of Object.entries(result?.metrics ?? {})) {
    if (typeof value !== "object") table.push([key, `${value}`]);
  }
  console.log(`${table}`);
}

/** The plain values of an object, a line each. */
function valuesOf(object: object): string {
  return Object.entries(object)
    .filter(([, value]) => value !== null && typeof value !== "object")
    .map(([key, value]) => `${key} ${value}`)
    .join("\n");
}

/** An event as one line of text. */
function describe(event: RunEvent): string {
  const { type, ...rest } = event;
  const values = Object.entries(rest)
    .filter(([, value]) => typeof value !== "object")
    .map(([key, value]) =>
      `${key} ${typeof value === "number" ? Number(value.toPrecision(5)) : value}`
    );
  return `${type}: ${values.join(", ")}`;
}

async function open({ server, runs }: Options): Promise<Source> {
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
async function openServer(server: string): Promise<Source | undefined> {
  const apiKey = apiKeyVariable();
  if (!URL.canParse(server)) throw new UserError(`Cannot ask '${server}': it is not a URL`);
  const headers = apiKey === undefined ? {} : { Authorization: `Bearer ${apiKey}` };
  try {
    await (await fetch(routeOf(server, "/health/live"), { headers })).body?.cancel();
    return new ServerSource(server, headers);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) {
      const { host } = new URL(server);
      throw new UserError(
        `Cannot ask '${server}': the task 'runs' may reach this machine only; for another run ` +
          `deno run --allow-net=${host} main.ts runs ... --server ${server}`,
      );
    }
    // No server listens there.
    if (!(error instanceof TypeError)) throw error;
    return undefined;
  }
}

/** A route of a server, which may be mounted below a path. */
function routeOf(server: string, path: string): string {
  return server.replace(/\/+$/, "") + path;
}

class ServerSource implements Source {
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

class FileSource implements Source {
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
