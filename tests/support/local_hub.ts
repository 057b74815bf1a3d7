/**
 * A hub on this machine for tests: it speaks as much of the Hugging Face hub's protocol as models
 * are downloaded with.
 *
 * @module
 */
import { createHash } from "node:crypto";

/** The commit of every repository. */
export const COMMIT = "0123456789abcdef0123456789abcdef01234567";

/** A request that a {@link LocalHub} got. */
export interface HubRequest {
  /** Whether the host for large files got it. */
  cdn: boolean;
  path: string;
  token: string | null;
}

/** A hub with one repository, `acme/tiny`, which was once called `tiny`. */
export class LocalHub implements AsyncDisposable {
  /** The repository's files by name; safetensors are kept on another host. */
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
  readonly requests: HubRequest[] = [];
  /** Answers in the place of the hub, where it gives an answer. */
  answer: (request: HubRequest) => Response | undefined = () => undefined;
  /** Without it the repository cannot be seen. */
  token: string | undefined;
  readonly #hub = serve((request) => this.#onHub(request));
  readonly #cdn = serve((request) => this.#onCdn(request));

  constructor(files: Iterable<[name: string, content: Uint8Array<ArrayBuffer>]>) {
    this.files = new Map(files);
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#hub.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#hub.shutdown();
    await this.#cdn.shutdown();
  }

  #onHub(request: Request): Response {
    const logged = this.#log(request, false);
    const answer = this.answer(logged);
    if (answer !== undefined) return answer;
    const { path, token } = logged;
    const [, id, revision, file] = path.match(/^\/(.+)\/resolve\/([^/]+)\/(.+)$/) ?? [];
    const isHidden = this.token !== undefined && token !== `Bearer ${this.token}`;
    if (isHidden) return new Response("Invalid username or password.", { status: 401 });
    if (id === "tiny") return redirect(307, path.replace("tiny", "acme/tiny"));
    if (id !== "acme/tiny") return notFound("RepoNotFound");
    if (revision !== "main" && revision !== "v1" && revision !== COMMIT) {
      return notFound("RevisionNotFound");
    }
    const headers = { "X-Repo-Commit": COMMIT };
    const content = this.files.get(file!);
    if (content === undefined) return notFound("EntryNotFound", headers);
    if (!file!.endsWith(".safetensors")) {
      return new Response(content, { headers: { ...headers, ETag: `"${hash("sha1", content)}"` } });
    }
    return redirect(302, `http://127.0.0.1:${this.#cdn.addr.port}/${file}?signature=1`, {
      ...headers,
      ETag: '"of the pointer"',
      "X-Linked-ETag": `"${hash("sha256", content)}"`,
      "X-Linked-Size": String(content.length),
    });
  }

  #onCdn(request: Request): Response {
    const logged = this.#log(request, true);
    return this.answer(logged) ?? new Response(this.files.get(logged.path.slice(1)));
  }

  #log({ url, headers }: Request, cdn: boolean): HubRequest {
    const logged = { cdn, path: new URL(url).pathname, token: headers.get("Authorization") };
    this.requests.push(logged);
    return logged;
  }
}

function serve(handler: (request: Request) => Response): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, handler);
}

function redirect(status: number, location: string, headers: HeadersInit = {}): Response {
  return new Response(null, { status, headers: { ...headers, Location: location } });
}

function notFound(code: string, headers: HeadersInit = {}): Response {
  return new Response(null, { status: 404, headers: { ...headers, "X-Error-Code": code } });
}

function hash(algorithm: string, content: Uint8Array): string {
  return createHash(algorithm).update(content).digest("hex");
}
