/**
 * Models by their name on the Hugging Face hub. Their files are kept in the cache of Python's
 * `huggingface_hub`, in its layout, so that either uses what the other has downloaded.
 *
 * @module
 */
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { exists, writeFileAtomically } from "../lib/files.ts";
import { IdleTimer } from "../lib/idle_timer.ts";
import { UserError } from "../lib/user_error.ts";
import { TOKENIZER_FILES } from "./formats/tokenizer_folder.ts";
import { shardFiles, WEIGHTS_FILE, WEIGHTS_INDEX_FILE } from "./formats/weight_files.ts";
import { readConfig } from "./family.ts";
import { CONFIG_FILE } from "./formats/config.ts";
import { BUNDLED_MODEL } from "./own_models.ts";
import { cacheDirOf, HUB_NAME } from "./hub_cache.ts";

const BUNDLED_DIR = fileURLToPath(new URL("./bundled", import.meta.url));
const DEFAULT_ENDPOINT = "https://huggingface.co";
const MAX_REDIRECTS = 10;

const COMMIT = /^[0-9a-f]{40}$/;
/** Valid names of files in the cache, which a server gives. */
const ETAG = /^[\w-]+$/;

/** The progress of a file's download. */
export interface DownloadEvent {
  /** The kind of event. */
  type: "download";
  /** The file's name. */
  file: string;
  /** The bytes received so far; 0 at the start. */
  received: number;
  /** The size of the file in bytes; `null` if the server does not say. */
  size: number | null;
}

/** Settings of {@link modelDir}. */
export interface HubOptions {
  /**
   * Looks up `HF_ENDPOINT`, `HF_TOKEN`, `HF_HOME`, `HF_HUB_CACHE` and `HF_HUB_OFFLINE`, which have
   * `huggingface_hub`'s meaning; by default in the process's environment.
   */
  environment?: { get(name: string): string | undefined };
  /** Called as files are downloaded. */
  onDownload?: ((event: DownloadEvent) => void) | undefined;
  /** Further files to get, if the model has them. */
  optionalFiles?: readonly string[];
  /** Aborts a download. */
  signal?: AbortSignal | undefined;
  /** How long the hub may be silent; 30 seconds by default. */
  idleTimeoutMs?: number;
}

/**
 * The folder of a model: a given folder, the model that comes with Graft, or the cached folder of
 * the hub's model of this name. Files that the cache lacks are downloaded: the configuration, the
 * tokenizer's files and the weights as safetensors. Cached files are used without asking the hub
 * for something newer.
 *
 * @param model A folder, `bundled`, or a name as `bert-base-cased` or `owner/name`, with `@revision` for a
 * branch, tag or commit other than `main`. A missing folder that cannot be a name is returned as it
 * is.
 * @throws {UserError} If there is no such model, it cannot be downloaded, its family is unknown, or
 * it has no safetensors.
 * @throws The signal's reason, if it aborts.
 */
export async function modelDir(model: string, options: HubOptions = {}): Promise<string> {
  if (model === BUNDLED_MODEL) return BUNDLED_DIR;
  const name = HUB_NAME.exec(model)?.groups;
  if (name === undefined || await exists(model)) return model;
  try {
    const repository = new HubRepository(model, name["id"]!, name["revision"] ?? "main", options);
    return await repository.cachedSnapshot() ?? await repository.download();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
    throw new UserError(
      `Cannot find '${model}': no folder of that name, and a name on the hub needs more ` +
        `permissions, as 'deno task train' has them (${error.message})`,
    );
  }
}

/** A model's repository on the hub, and its folder in the cache. */
class HubRepository {
  /** The name as the user wrote it. */
  readonly #model: string;
  readonly #id: string;
  readonly #revision: string;
  readonly #environment: { get(name: string): string | undefined };
  /** Read only for a download: looking into the cache needs no permission for the variables. */
  #endpoint = "";
  #token: string | undefined;
  readonly #offline: boolean;
  readonly #cacheDir: string;
  readonly #dir: string;
  readonly #onDownload: (event: DownloadEvent) => void;
  readonly #optionalFiles: readonly string[];
  readonly #signal: AbortSignal | undefined;
  readonly #idleTimeoutMs: number;

  constructor(model: string, id: string, revision: string, options: HubOptions) {
    const { environment = Deno.env, onDownload = () => {}, optionalFiles = [] } = options;
    const { signal, idleTimeoutMs = 30_000 } = options;
    this.#model = model;
    this.#id = id;
    this.#revision = revision;
    this.#environment = environment;
    this.#offline = /^(1|on|yes|true)$/i.test(environment.get("HF_HUB_OFFLINE") ?? "");
    this.#cacheDir = cacheDirOf(environment);
    this.#dir = join(this.#cacheDir, ["models", ...id.split("/")].join("--"));
    this.#onDownload = onDownload;
    this.#optionalFiles = optionalFiles;
    this.#signal = signal;
    this.#idleTimeoutMs = idleTimeoutMs;
  }

  /** The revision's folder, if the cache has all of it. */
  async cachedSnapshot(): Promise<string | undefined> {
    const commit = await this.#cachedCommit();
    if (commit === undefined) return undefined;
    const snapshot = this.#snapshot(commit);
    let known = true;
    const missing = await missingFile(snapshot, this.#optionalFiles, async (file) => {
      if (await exists(join(snapshot, file))) return true;
      known &&= await exists(this.#absenceMark(commit, file));
      return false;
    });
    // Other programs that fill the cache do not ask for each file that a model may lack.
    return (known || this.#offline) && missing === undefined ? snapshot : undefined;
  }

  /** Downloads the files of the revision that the cache lacks, and returns its folder. */
  async download(): Promise<string> {
    if (this.#offline) throw this.#notFoundLocally("HF_HUB_OFFLINE is set");
    this.#endpoint = endpointOf(this.#environment);
    this.#token = this.#environment.get("HF_TOKEN")?.trim() || undefined;
    const commit = await this.#downloadFile(CONFIG_FILE, this.#revision);
    if (commit === undefined) throw this.#lacks(CONFIG_FILE);
    const snapshot = this.#snapshot(commit);
    // The configuration is read first: weights are large, and those of another kind of model are
    // useless.
    await readConfig(snapshot);
    const missing = await missingFile(
      snapshot,
      this.#optionalFiles,
      async (file) =>
        await exists(join(snapshot, file)) || await this.#downloadFile(file, commit) !== undefined,
    );
    if (missing !== undefined) throw this.#lacks(missing);
    if (this.#revision !== commit) await this.#write(this.#ref, commit);
    return snapshot;
  }

  get #ref(): string {
    return join(this.#dir, "refs", this.#revision);
  }

  #snapshot(commit: string): string {
    return join(this.#dir, "snapshots", commit);
  }

  /** The file that marks a commit as lacking a file. */
  #absenceMark(commit: string, file: string): string {
    return join(this.#dir, ".no_exist", commit, file);
  }

  async #cachedCommit(): Promise<string | undefined> {
    if (COMMIT.test(this.#revision)) return this.#revision;
    if (!await exists(this.#ref)) return undefined;
    const commit = (await Deno.readTextFile(this.#ref)).trim();
    return COMMIT.test(commit) ? commit : undefined;
  }

  /** Downloads a file into the cache, and returns the commit; `undefined` if that lacks it. */
  async #downloadFile(file: string, revision: string): Promise<string | undefined> {
    const url = `${this.#endpoint}/${this.#id}/resolve/${encodeURIComponent(revision)}/${file}`;
    using idle = new IdleTimer(this.#idleTimeoutMs);
    const { response, headers } = await this.#request(new URL(url), idle);
    const isCommit = COMMIT.test(revision);
    if (!response.ok) {
      await response.body?.cancel();
      const code = headers.get("X-Error-Code");
      const isAbsent = code === "EntryNotFound" || (code === null && isCommit);
      if (response.status !== 404 || !isAbsent) throw this.#refusal(response, code);
      if (isCommit) await this.#write(this.#absenceMark(revision, file), "");
      return undefined;
    }
    const commit = headers.get("X-Repo-Commit") ?? "";
    // An ETag is quoted, and marked W/ where a proxy has compressed the file.
    const etag = (headers.get("X-Linked-ETag") ?? headers.get("ETag") ?? "")
      .replace(/^W\//, "").replaceAll('"', "");
    if (!COMMIT.test(commit) || !ETAG.test(etag)) {
      await response.body?.cancel();
      throw this.#failure(`${this.#endpoint} does not answer as the hub does`);
    }
    const blob = join(this.#dir, "blobs", etag);
    if (await exists(blob)) {
      await response.body?.cancel();
    } else {
      const size = headers.get("X-Linked-Size") ?? response.headers.get("Content-Length");
      const chunks = this.#chunks(response, file, size === null ? null : Number(size), idle);
      await this.#write(blob, chunks);
    }
    await link(blob, join(this.#snapshot(commit), file));
    return commit;
  }

  /** Writes a file of the cache. */
  async #write(path: string, content: string | AsyncIterable<Uint8Array>): Promise<void> {
    const blobs = join(this.#dir, "blobs");
    for (const dir of [blobs, dirname(path)]) await Deno.mkdir(dir, { recursive: true });
    // Two processes may write the same file.
    await writeFileAtomically(path, content, join(blobs, `${crypto.randomUUID()}.incomplete`));
  }

  /** The bytes of an answer; throws if it ends too early. */
  async *#chunks(
    response: Response,
    file: string,
    size: number | null,
    idle: IdleTimer,
  ): AsyncGenerator<Uint8Array> {
    let received = 0;
    let broken = false;
    this.#onDownload({ type: "download", file, received, size });
    try {
      for await (const chunk of response.body ?? []) {
        idle.restart();
        received += chunk.length;
        yield chunk;
        this.#onDownload({ type: "download", file, received, size });
      }
    } catch (error) {
      if (error === this.#signal?.reason) throw error;
      if (idle.signal.aborted) throw this.#failure(`${file}: ${idle.message}; try again`);
      broken = true;
    }
    if (!broken && (size === null || size === received)) return;
    throw this.#failure(
      `${file} ended after ${received} bytes${size === null ? "" : ` of ${size}`}; try again`,
    );
  }

  /**
   * Asks for a URL and follows its redirects. Files are often redirected to another host, which
   * must not see the token; the headers that describe the file are on the hub's own answer.
   */
  async #request(
    url: URL,
    idle: IdleTimer,
  ): Promise<{ response: Response; headers: Headers }> {
    const { origin } = new URL(this.#endpoint);
    let described: Response | undefined;
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      const isHub = url.origin === origin;
      const headers = new Headers({ "Accept-Encoding": "identity" });
      if (isHub && this.#token !== undefined) {
        headers.set("Authorization", `Bearer ${this.#token}`);
      }
      const response = await this.#fetch(url, headers, idle);
      if (response.headers.has("X-Repo-Commit")) described ??= response;
      const location = response.headers.get("Location");
      if (response.status < 300 || response.status >= 400 || location === null) {
        const { headers } = described ??= response;
        if (response.ok || response === described) return { response, headers };
        await response.body?.cancel();
        throw this.#failure(answered(url.origin, response));
      }
      await response.body?.cancel();
      url = new URL(location, url);
      // Deno's fetch would read files too.
      if (!/^https?:$/.test(url.protocol)) break;
    }
    throw this.#failure(`${this.#endpoint} redirects to '${url}'`);
  }

  async #fetch(url: URL, headers: Headers, idle: IdleTimer): Promise<Response> {
    const signals = [idle.signal, ...this.#signal === undefined ? [] : [this.#signal]];
    try {
      return await fetch(url, { headers, redirect: "manual", signal: AbortSignal.any(signals) });
    } catch (error) {
      if (idle.signal.aborted) throw this.#failure(`${url.origin}: ${idle.message}; try again`);
      if (error instanceof Deno.errors.NotCapable) {
        throw this.#failure(
          `connections to ${url.host} are not allowed: only those to the hub and HF_ENDPOINT are; ` +
            `start main.ts by 'deno run' with --allow-net=${url.host} too`,
        );
      }
      if (!(error instanceof TypeError)) throw error;
      const { message } = error.cause instanceof Error ? error.cause : error;
      const reason = message.replace(/^.*? for url \(.*?\): /, "");
      throw this.#notFoundLocally(`${url.origin} cannot be reached (${reason})`);
    }
  }

  #refusal(response: Response, code: string | null): UserError {
    const { status } = response;
    const page = `${this.#endpoint}/${this.#id}`;
    if (code === "RevisionNotFound") {
      return this.#failure(`${page} has no revision '${this.#revision}'`);
    }
    if (code === "GatedRepo" || status === 403) {
      return this.#failure(`it needs permission; ask for it on ${page} and set HF_TOKEN`);
    }
    if (status === 401 && code !== "RepoNotFound" && this.#token !== undefined) {
      return this.#failure(`${this.#endpoint} does not accept the token in HF_TOKEN`);
    }
    // Without a token the hub's answer is the same for a private model and a missing one.
    if (status === 401 || status === 404) {
      return new UserError(
        `Cannot find '${this.#model}': no folder of that name, and ` +
          (this.#token === undefined
            ? `no public model on ${this.#endpoint}; for a private one set HF_TOKEN`
            : `no model on ${this.#endpoint} that HF_TOKEN may read`),
      );
    }
    return this.#failure(answered(this.#endpoint, response));
  }

  #notFoundLocally(reason: string): UserError {
    return new UserError(
      `Cannot find '${this.#model}': no folder of that name, not all of it in the cache ` +
        `'${this.#cacheDir}', and ${reason}; a folder with the model's files will do as well`,
    );
  }

  #failure(reason: string): UserError {
    return new UserError(`Cannot download '${this.#model}': ${reason}`);
  }

  #lacks(file: string): UserError {
    return new UserError(
      `Cannot use '${this.#model}': ${this.#endpoint}/${this.#id} holds no ${file}`,
    );
  }
}

function answered(server: string, { status, statusText }: Response): string {
  return `${server} answered ${status} ${statusText}`.trimEnd();
}

/**
 * Gets a classifier's files one after another, as far as they are needed, and returns the name of
 * the first that is needed but missing.
 *
 * @param get Makes sure that the folder has a file, and returns `false` if there is none.
 */
async function missingFile(
  dir: string,
  optionalFiles: readonly string[],
  get: (file: string) => Promise<boolean>,
): Promise<string | undefined> {
  if (!await get(CONFIG_FILE)) return CONFIG_FILE;
  const { tokenizer, vocabulary, bpeVocabulary, merges, ...beside } = TOKENIZER_FILES;
  for (const file of [...Object.values(beside), ...optionalFiles]) await get(file);
  const hasTokenizer = await get(tokenizer) || await get(vocabulary) ||
    await get(bpeVocabulary) && await get(merges);
  if (!hasTokenizer) return `${tokenizer} or ${vocabulary}`;
  if (await get(WEIGHTS_FILE)) return undefined;
  if (!await get(WEIGHTS_INDEX_FILE)) {
    return `${WEIGHTS_FILE}; other formats, as pytorch_model.bin, are not read`;
  }
  for (const shard of await shardFiles(dir)) {
    if (!await get(shard)) return shard;
  }
  return undefined;
}

/** The URL of the hub, or of the server that replaces it. */
function endpointOf(environment: { get(name: string): string | undefined }): string {
  const endpoint = (environment.get("HF_ENDPOINT") || DEFAULT_ENDPOINT).replace(/\/+$/, "");
  if (/^https?:\/\//.test(endpoint) && URL.canParse(endpoint)) return endpoint;
  throw new UserError(`Cannot use HF_ENDPOINT '${endpoint}': it must be an http(s) URL`);
}

/** Makes a file of a snapshot, as a link to its content. */
async function link(blob: string, path: string): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true });
  try {
    await Deno.symlink(relative(dirname(path), blob), path, { type: "file" });
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) {
      if (await exists(path)) return;
      // A link to content that someone has removed.
      await Deno.remove(path);
      return await link(blob, path);
    }
    // Windows lets few users make links, some file systems support none, and Deno lets no process
    // make them that may write to some folders only.
    await Deno.rename(blob, path);
  }
}
