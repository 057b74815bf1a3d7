/**
 * Files that the members of a cluster share: immutable, named by the SHA-256 of their content, and
 * checked against it on arrival.
 *
 * A folder is stored as parts of its files and a list of them, which is written last, so that
 * nothing incomplete can be fetched.
 *
 * @module
 */
import type { KV } from "@nats-io/kv";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { z } from "zod";
import { exists, PartialFile, removeFolder, writeFileAtomically } from "../../lib/files.ts";
import { StateError } from "../store.ts";
import type { Cluster } from "./connection.ts";
import { keyOf } from "./published_models.ts";

/** Bytes by name. */
export interface Blobs {
  /** Stores bytes; a reader gets all of them or none. */
  put(name: string, bytes: Uint8Array): Promise<void>;
  /** The bytes that are stored under a name, if any. */
  get(name: string): Promise<Uint8Array | undefined>;
  /** Deletes names and the bytes that are stored under them. */
  delete(names: readonly string[]): Promise<void>;
}

/** A message of NATS may hold 1 MiB, and an answer has its bytes in base64. */
const PIECE_BYTES = 2 ** 19;

/**
 * Keeps bytes in a bucket of JetStream, in pieces under keys of their own; the key of the whole is
 * written last and holds the number of bytes.
 *
 * JetStream's object store reads through a consumer, which may be on a node that lacks messages and
 * then waits for ever; and it purges deleted messages, see {@link Cluster.deleteMessage}.
 */
export class BucketBlobs implements Blobs {
  readonly #cluster: Cluster;
  readonly #bucket: KV;

  private constructor(cluster: Cluster, bucket: KV) {
    this.#cluster = cluster;
    this.#bucket = bucket;
  }

  /** Opens the bucket, and makes it if it does not exist. */
  static async open(cluster: Cluster): Promise<BucketBlobs> {
    return new BucketBlobs(cluster, await cluster.bucket("artifacts"));
  }

  async put(name: string, bytes: Uint8Array): Promise<void> {
    const key = keyOf(name);
    for (const [i, piece] of piecesOf(bytes.length).entries()) {
      const value = bytes.subarray(i * PIECE_BYTES, i * PIECE_BYTES + piece);
      await this.#cluster.reach(() => this.#bucket.put(`${key}/${i}`, value));
    }
    await this.#cluster.reach(() => this.#bucket.put(key, String(bytes.length)));
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    const key = keyOf(name);
    const size = await this.#read(key);
    if (size === undefined) return undefined;
    const pieces: Uint8Array[] = [];
    for (const i of piecesOf(Number(new TextDecoder().decode(size.value))).keys()) {
      const piece = await this.#read(`${key}/${i}`);
      if (piece === undefined) return undefined;
      pieces.push(piece.value);
    }
    return Buffer.concat(pieces);
  }

  async delete(names: readonly string[]): Promise<void> {
    for (const name of names) {
      const key = keyOf(name);
      const size = await this.#read(key);
      if (size === undefined) continue;
      await this.#forget(size.revision);
      for (const i of piecesOf(Number(new TextDecoder().decode(size.value))).keys()) {
        const piece = await this.#read(`${key}/${i}`);
        if (piece !== undefined) await this.#forget(piece.revision);
      }
    }
  }

  async #read(key: string): Promise<{ value: Uint8Array; revision: number } | undefined> {
    return await this.#cluster.reach(() => this.#bucket.get(key)) ?? undefined;
  }

  async #forget(revision: number): Promise<void> {
    await this.#cluster.deleteMessage(`KV_${this.#cluster.name}_artifacts`, revision);
  }
}

/** The sizes of the pieces of a blob of this many bytes. */
function piecesOf(bytes: number): number[] {
  const count = Math.ceil(bytes / PIECE_BYTES);
  return Array.from({ length: count }, (_, i) => Math.min(PIECE_BYTES, bytes - i * PIECE_BYTES));
}

/** Keeps bytes in a folder of a file system that all members share. */
export class FolderBlobs implements Blobs {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  async put(name: string, bytes: Uint8Array): Promise<void> {
    const path = join(this.#dir, name);
    await Deno.mkdir(dirname(path), { recursive: true });
    await writeFileAtomically(path, bytes, `${path}.${crypto.randomUUID()}.partial`);
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    try {
      return await Deno.readFile(join(this.#dir, name));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  async delete(names: readonly string[]): Promise<void> {
    for (const name of names) await removeFolder(join(this.#dir, name));
  }
}

/** A fetched file is missing, or differs from the one that was stored. */
export class ArtifactError extends StateError {
  override name = "ArtifactError";
}

/** The files of a folder, as they are stored. */
const Manifest = z.object({
  files: z.array(z.object({
    path: z.string().regex(/^(?!\/)(?!.*(^|\/)\.\.(\/|$))/, "must stay in the folder"),
    /** The names of the file's parts, which end with their SHA-256. */
    parts: z.array(z.string()),
  })),
});

type Manifest = z.infer<typeof Manifest>;

const PART_BYTES = 2 ** 25;
const PAUSES_MS = [200, 1000, 3000];

/** The folders that are stored in a cluster. */
export class Artifacts {
  readonly #blobs: Blobs;
  readonly #partBytes: number;
  readonly #pausesMs: readonly number[];

  /**
   * @param partBytes The size of the parts of files in bytes: no more of a file is held in memory.
   * @param pausesMs The pauses before a missing or damaged part is fetched again: a NATS node that
   * has just come back may not have it yet.
   */
  constructor(blobs: Blobs, partBytes = PART_BYTES, pausesMs: readonly number[] = PAUSES_MS) {
    this.#blobs = blobs;
    this.#partBytes = partBytes;
    this.#pausesMs = pausesMs;
  }

  /**
   * Stores a folder.
   *
   * @param owner The prefix of the names of everything stored for it, so that nothing is shared
   * with others.
   * @param isWanted Whether to store the file of a path; by default all are stored.
   * @param before An artifact whose parts need not be stored again.
   * @returns The name of the artifact.
   */
  async store(
    dir: string,
    owner: string,
    { isWanted = () => true, before }: {
      isWanted?: (path: string) => boolean;
      before?: string | undefined;
    } = {},
  ): Promise<string> {
    const stored = new Map<string, string>();
    if (before !== undefined) {
      for (const name of await this.#partsOf(before)) stored.set(digestOf(name), name);
    }
    const files: Manifest["files"] = [];
    for (const path of (await filesOf(dir)).filter(isWanted).sort()) {
      const parts: string[] = [];
      for await (const bytes of partsOfFile(join(dir, path), this.#partBytes)) {
        const digest = sha256(bytes);
        const name = stored.get(digest) ?? `${owner}/${digest}`;
        if (!stored.has(digest)) await this.#blobs.put(name, bytes);
        stored.set(digest, name);
        parts.push(name);
      }
      files.push({ path, parts });
    }
    const manifest = new TextEncoder().encode(JSON.stringify({ files } satisfies Manifest));
    const name = `${owner}/${sha256(manifest)}`;
    await this.#blobs.put(name, manifest);
    return name;
  }

  /**
   * Writes the folder of an artifact: the whole folder, or nothing.
   *
   * @throws {ArtifactError} If something is missing, or differs from what was stored.
   */
  async fetch(name: string, dir: string): Promise<void> {
    const partial = `${dir}.${crypto.randomUUID()}.partial`;
    try {
      await Deno.mkdir(partial, { recursive: true });
      for (const { path, parts } of (await this.#manifest(name)).files) {
        const file = join(partial, path);
        await Deno.mkdir(dirname(file), { recursive: true });
        await using content = await PartialFile.create(file);
        for (const part of parts) await content.write(await this.#checked(part));
        await content.publish();
      }
      await removeFolder(dir);
      await Deno.rename(partial, dir);
    } finally {
      await removeFolder(partial);
    }
  }

  /** Deletes the files of an artifact, except those that another one shares. */
  async delete(name: string, kept?: string): Promise<void> {
    // The same folder was stored twice.
    if (name === kept) return;
    const isKept = new Set(kept === undefined ? [] : partsOf(await this.#manifest(kept)));
    const parts = partsOf(await this.#manifest(name)).filter((part) => !isKept.has(part));
    // The list goes first, so that a half-deleted artifact does not exist.
    await this.#blobs.delete([name, ...new Set(parts)]);
  }

  /** The parts of an artifact; none if its list is lost. */
  async #partsOf(name: string): Promise<string[]> {
    try {
      return partsOf(await this.#manifest(name));
    } catch (error) {
      if (error instanceof ArtifactError) return [];
      throw error;
    }
  }

  async #manifest(name: string): Promise<Manifest> {
    return Manifest.parse(JSON.parse(new TextDecoder().decode(await this.#checked(name))));
  }

  /** Fetches bytes, and fetches them again if they differ from those that were stored. */
  async #checked(name: string): Promise<Uint8Array> {
    let problem = "";
    for (const pauseMs of [0, ...this.#pausesMs]) {
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      const bytes = await this.#blobs.get(name);
      if (bytes !== undefined && sha256(bytes) === digestOf(name)) return bytes;
      problem = bytes === undefined ? "it is not there" : "its SHA-256 is another";
    }
    throw new ArtifactError(`Cannot fetch '${name}': ${problem}`);
  }
}

function partsOf({ files }: Manifest): string[] {
  return files.flatMap(({ parts }) => parts);
}

function digestOf(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The paths of all files in a folder, relative to it. */
async function filesOf(dir: string, prefix = ""): Promise<string[]> {
  const paths: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(dir)) {
    const path = `${prefix}${name}`;
    if (isDirectory) paths.push(...await filesOf(join(dir, name), `${path}/`));
    else paths.push(path);
  }
  return paths;
}

async function* partsOfFile(path: string, partBytes: number): AsyncGenerator<Uint8Array> {
  using file = await Deno.open(path);
  while (true) {
    const part = new Uint8Array(Math.min(partBytes, (await file.stat()).size));
    let size = 0;
    while (size < part.length) {
      const read = await file.read(part.subarray(size));
      if (read === null) break;
      size += read;
    }
    if (size > 0) yield part.subarray(0, size);
    if (size < partBytes) return;
  }
}

/** The name of a file beside a folder that names the artifact in it. */
const MARKER = /\.artifact$/;
/** The name of a folder that was being fetched. */
const PARTIAL = /\.[-0-9a-f]{36}\.partial$/;
/** How long a folder that was asked for stays: it is about to be read. */
const IN_USE_MS = 60_000;

/** A folder with the artifact in it. */
interface FetchedFolder {
  name: string;
  bytes: number;
  usedAt: number;
}

/** Fetched folders, within a budget of disk space. */
export class FetchedFolders {
  readonly #artifacts: Artifacts;
  readonly #budgetBytes: number;
  readonly #inUseMs: number;
  readonly #fetching = new Map<string, Promise<void>>();
  /** The fetched folders, the most recently used last. */
  readonly #folders = new Map<string, FetchedFolder>();
  /** The numbers of tasks that need a folder. */
  readonly #held = new Map<string, number>();

  /** @param inUseMs How long a folder that was asked for stays, beyond the budget if need be. */
  constructor(artifacts: Artifacts, budgetBytes = Infinity, inUseMs = IN_USE_MS) {
    this.#artifacts = artifacts;
    this.#budgetBytes = budgetBytes;
    this.#inUseMs = inUseMs;
  }

  /** Finds what earlier processes have fetched into these folders; it counts, too. */
  async find(parents: readonly string[]): Promise<void> {
    const found: { dir: string; name: string; fetchedAt: number }[] = [];
    for (const path of (await Promise.all(parents.map(pathsIn))).flat()) {
      if (PARTIAL.test(path)) await removeFolder(path);
      if (!MARKER.test(path)) continue;
      const dir = path.replace(MARKER, "");
      const fetchedAt = (await Deno.stat(path)).mtime?.getTime() ?? 0;
      if (!await exists(dir)) await Deno.remove(path);
      else found.push({ dir, name: await Deno.readTextFile(path), fetchedAt });
    }
    found.sort((a, b) => a.fetchedAt - b.fetchedAt);
    for (const { dir, name } of found) await this.#add(dir, name, -Infinity);
    await this.#makeRoom();
  }

  /** Makes sure that the folder of an artifact is there; simultaneous callers share a download. */
  async bring(name: string, dir: string): Promise<void> {
    const known = this.#folders.get(dir);
    if (known?.name === name) {
      this.#folders.delete(dir);
      this.#folders.set(dir, { ...known, usedAt: performance.now() });
      return;
    }
    const fetching = this.#fetching.get(dir) ?? this.#fetch(name, dir);
    this.#fetching.set(dir, fetching);
    await fetching;
  }

  /** Keeps a folder until the result is disposed of. */
  hold(dir: string): Disposable {
    this.#held.set(dir, (this.#held.get(dir) ?? 0) + 1);
    return {
      [Symbol.dispose]: () => {
        const left = this.#held.get(dir)! - 1;
        if (left === 0) this.#held.delete(dir);
        else this.#held.set(dir, left);
      },
    };
  }

  /** Takes a folder that was made here, and has been stored, for one that was fetched. */
  async adopt(name: string, dir: string): Promise<void> {
    await writeFileAtomically(`${dir}.artifact`, name);
    await this.#add(dir, name, performance.now());
    await this.#makeRoom();
  }

  /** Removes a fetched folder. */
  async remove(dir: string): Promise<void> {
    this.#folders.delete(dir);
    await removeFolder(dir);
    await removeFolder(`${dir}.artifact`);
  }

  async #fetch(name: string, dir: string): Promise<void> {
    try {
      const held = await Deno.readTextFile(`${dir}.artifact`).catch(() => "");
      if (held !== name || !await exists(dir)) await this.#artifacts.fetch(name, dir);
      await this.adopt(name, dir);
    } finally {
      this.#fetching.delete(dir);
    }
  }

  async #add(dir: string, name: string, usedAt: number): Promise<void> {
    let bytes = 0;
    for (const path of await filesOf(dir)) bytes += (await Deno.stat(join(dir, path))).size;
    this.#folders.delete(dir);
    this.#folders.set(dir, { name, bytes, usedAt });
  }

  async #makeRoom(): Promise<void> {
    let total = this.#folders.values().reduce((sum, { bytes }) => sum + bytes, 0);
    const before = performance.now() - this.#inUseMs;
    for (const [dir, { bytes, usedAt }] of [...this.#folders]) {
      if (total <= this.#budgetBytes) return;
      if (usedAt > before || this.#held.has(dir)) continue;
      await this.remove(dir);
      total -= bytes;
    }
  }
}

/** The paths of the entries of a folder; none if there is no such folder. */
async function pathsIn(dir: string): Promise<string[]> {
  if (!await exists(dir)) return [];
  return (await Array.fromAsync(Deno.readDir(dir))).map(({ name }) => join(dir, name));
}
