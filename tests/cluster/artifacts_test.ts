import { deepStrictEqual, match, rejects } from "node:assert";
import { join } from "node:path";
import { exists } from "../../lib/files.ts";
import {
  Artifacts,
  type Blobs,
  BucketBlobs,
  FetchedFolders,
  FolderBlobs,
} from "../../orchestration/cluster/artifacts.ts";
import { Cluster } from "../../orchestration/cluster/connection.ts";
import { StateError } from "../../orchestration/store.ts";
import { clusterTest, NatsServers } from "./nats_servers.ts";

/** The size of parts, more than a message of NATS may hold. */
const PART_BYTES = 3 * 2 ** 20;

/** Runs a test with blobs of each kind, and a temporary folder. */
function testBlobs(name: string, fn: (blobs: Blobs, dir: string) => Promise<void>): void {
  const inDir = async (work: (dir: string) => Promise<void>) => {
    const dir = await Deno.makeTempDir();
    try {
      await work(dir);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  };
  Deno.test(`${name}, in a shared folder`, () =>
    inDir((dir) => fn(new FolderBlobs(join(dir, "shared")), dir)));
  Deno.test({
    ...clusterTest,
    name: `${name}, in NATS`,
    fn: () =>
      inDir(async (dir) => {
        await using nats = await NatsServers.start(1);
        await using cluster = await Cluster.connect({ servers: nats.servers });
        await fn(await BucketBlobs.open(cluster), dir);
      }),
  });
}

async function writeFolder(dir: string): Promise<void> {
  await Deno.mkdir(join(dir, "onnx"), { recursive: true });
  await Deno.writeTextFile(join(dir, "config.json"), "{}");
  await Deno.writeFile(join(dir, "empty"), new Uint8Array());
  // More than one part.
  const weights = new Uint8Array(2.5 * PART_BYTES).fill(7);
  await Deno.writeFile(join(dir, "onnx", "weights"), weights);
}

testBlobs("Artifacts.fetch() gives the folder that was stored", async (blobs, dir) => {
  const artifacts = new Artifacts(blobs, PART_BYTES, [1]);
  const [from, to] = [join(dir, "from"), join(dir, "to")];
  await writeFolder(from);
  const name = await artifacts.store(from, "models/1", { isWanted: (path) => path !== "lock" });
  await artifacts.fetch(name, to);
  for (const file of ["config.json", "empty", "onnx/weights"]) {
    deepStrictEqual(await Deno.readFile(join(to, file)), await Deno.readFile(join(from, file)));
  }
  const same = await artifacts.store(from, "models/1", { before: name });
  deepStrictEqual(same, name);
  await artifacts.delete(name, same);
  const again = await artifacts.store(from, "models/2", { before: name });
  await artifacts.delete(name, again);
  await artifacts.fetch(again, to);
  await rejects(artifacts.fetch(name, to), { name: "ArtifactError", message: /it is not there$/ });
});

testBlobs(
  "Artifacts.fetch() refuses what is not what was stored, and leaves nothing",
  async (blobs, dir) => {
    let flips = 0;
    const flipped: Blobs = {
      put: (name, bytes) => blobs.put(name, bytes),
      delete: (names) => blobs.delete(names),
      get: async (name) => {
        const bytes = (await blobs.get(name))?.slice();
        if (bytes !== undefined && bytes.length > 10_000 && flips-- > 0) bytes[5000]! ^= 1;
        return bytes;
      },
    };
    const [from, to] = [join(dir, "from"), join(dir, "to")];
    await writeFolder(from);
    const artifacts = new Artifacts(flipped, PART_BYTES, [1]);
    const name = await artifacts.store(from, "models/1");
    // Once only, as if it happened on the way: it is fetched again.
    flips = 1;
    await artifacts.fetch(name, to);
    await Deno.remove(to, { recursive: true });
    flips = Infinity;
    // A server tells its client so, and a command says it in one line.
    await rejects(artifacts.fetch(name, to), (error) => {
      match(String(error), /^ArtifactError: .* its SHA-256 is another$/);
      return error instanceof StateError;
    });
    deepStrictEqual(await exists(to), false);
    for await (const entry of Deno.readDir(dir)) match(entry.name, /^(from|shared)$/);
  },
);

Deno.test("FetchedFolders.bring() fetches once, and another artifact in its place", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const artifacts = new Artifacts(new FolderBlobs(join(dir, "shared")));
    const [from, to] = [join(dir, "from"), join(dir, "to")];
    await Deno.mkdir(from);
    const store = async (text: string) => {
      await Deno.writeTextFile(join(from, "a"), text);
      return await artifacts.store(from, `of ${text}`);
    };
    const [first, second] = [await store("first"), await store("second")];
    const read = () => Deno.readTextFile(join(to, "a"));
    const folders = new FetchedFolders(artifacts);
    await Promise.all([folders.bring(first, to), folders.bring(first, to)]);
    deepStrictEqual(await read(), "first");
    await folders.bring(second, to);
    deepStrictEqual(await read(), "second");
    // A process that starts again finds the fetched folder.
    await new FetchedFolders(artifacts).bring(first, to);
    deepStrictEqual(await read(), "first");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("FetchedFolders keeps to its budget, what earlier processes have fetched included", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const artifacts = new Artifacts(new FolderBlobs(join(dir, "shared")));
    const from = join(dir, "from");
    await Deno.mkdir(from);
    const names: string[] = [];
    for (let i = 0; i < 5; i++) {
      await Deno.writeFile(join(from, "a"), new Uint8Array(1000).fill(i));
      names.push(await artifacts.store(from, `of ${i}`));
    }
    const fetched = join(dir, "fetched");
    const path = (i: number) => join(fetched, String(i));
    const present = async () => {
      const entries = await Array.fromAsync(Deno.readDir(fetched));
      return entries.map(({ name }) => name).sort();
    };
    const unlimited = new FetchedFolders(artifacts);
    for (const i of [0, 1, 2]) await unlimited.bring(names[i]!, path(i));
    await Deno.mkdir(`${path(9)}.${crypto.randomUUID()}.partial`);
    await Deno.mkdir(path(8));
    const at = (i: number) => new Date(2026, 0, 3 - i);
    for (const i of [0, 1, 2]) await Deno.utime(`${path(i)}.artifact`, at(i), at(i));

    const folders = new FetchedFolders(artifacts, 2500, 0);
    await folders.find([fetched, join(dir, "none")]);
    deepStrictEqual(await present(), ["0", "0.artifact", "1", "1.artifact", "8"]);
    const held = folders.hold(path(1));
    await folders.bring(names[3]!, path(3));
    deepStrictEqual(await present(), ["1", "1.artifact", "3", "3.artifact", "8"]);
    held[Symbol.dispose]();
    await folders.bring(names[4]!, path(4));
    deepStrictEqual(await present(), ["3", "3.artifact", "4", "4.artifact", "8"]);
    // One that was asked for just now stays, whatever the budget.
    const small = new FetchedFolders(artifacts, 500);
    await small.bring(names[2]!, path(2));
    deepStrictEqual(await present(), [
      "2",
      "2.artifact",
      "3",
      "3.artifact",
      "4",
      "4.artifact",
      "8",
    ]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
