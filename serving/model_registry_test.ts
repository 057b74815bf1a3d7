import { deepStrictEqual, rejects } from "node:assert";
import fc from "fast-check";
import { join } from "node:path";
import { withLabels } from "../models/family.ts";
import { scratchConfig } from "../models/scratch.ts";
import { METRICS_FILE } from "../training/folder/run_folder.ts";
import { KvRunStore } from "../orchestration/kv_run_store.ts";
import { newRun, type RunStore } from "../orchestration/run_store.ts";
import { ModelRegistry } from "./model_registry.ts";
import { KvModelStore, type ModelStore, type StoredVersion } from "./model_store.ts";

/** A folder of runs, with registries like those of a server that is started again and again. */
class Fixture implements AsyncDisposable {
  readonly #runs: RunStore;
  readonly #kv: string;
  store: ModelStore;
  registry: ModelRegistry;

  private constructor(
    readonly dir: string,
    runs: RunStore,
    kv: string,
    store: ModelStore,
    registry: ModelRegistry,
  ) {
    this.#runs = runs;
    this.#kv = kv;
    this.store = store;
    this.registry = registry;
  }

  static async create(): Promise<Fixture> {
    const dir = await Deno.makeTempDir();
    const kv = join(dir, "state.kv");
    const runs = await KvRunStore.open(":memory:");
    const store = await KvModelStore.open(kv);
    const registry = await ModelRegistry.open({ store, runs, runsDir: dir });
    return new Fixture(dir, runs, kv, store, registry);
  }

  /** Finishes a run of this name in a folder, this many seconds after 1970. */
  async finish(
    folder: string,
    name: string,
    seconds: number,
    { promote, labels = ["x", "y"] }: { promote?: boolean; labels?: string[] } = {},
  ): Promise<void> {
    if (await this.#runs.get(folder) === undefined) {
      const fields = { settings: {}, base: "scratch:tiny", dataset: "sample", promote };
      await this.#runs.create(newRun({ id: folder, name, state: "succeeded", ...fields }));
    }
    await Deno.mkdir(join(this.dir, folder), { recursive: true });
    const file = join(this.dir, folder, METRICS_FILE);
    await Deno.writeTextFile(file, JSON.stringify({ seconds }));
    const config = withLabels(scratchConfig("tiny", 100, "classifier"), labels);
    await Deno.writeTextFile(join(this.dir, folder, "config.json"), JSON.stringify(config));
    await Deno.utime(file, seconds, seconds);
  }

  async restart(): Promise<void> {
    this.store.close();
    this.store = await KvModelStore.open(this.#kv);
    this.registry = await ModelRegistry.open({
      store: this.store,
      runs: this.#runs,
      runsDir: this.dir,
    });
  }

  /** The version numbers of each name. */
  async versions(): Promise<Record<string, number[]>> {
    const models = await this.registry.list();
    return Object.fromEntries(
      models.map(({ name, versions }) => [name, versions.map(({ version }) => version)]),
    );
  }

  /** `name@version in folder` */
  async resolve(reference?: string, key?: string): Promise<string> {
    const { name, version, dir } = await this.registry.resolve(reference, key);
    return `${name}@${version} in ${dir.slice(this.dir.length + 1)}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.store.close();
    this.#runs.close();
    await Deno.remove(this.dir, { recursive: true });
  }
}

Deno.test("ModelRegistry counts versions in the order in which they finished, for good", async () => {
  await using fixture = await Fixture.create();
  await fixture.finish("second", "titles", 200);
  await fixture.finish("first", "titles", 100);
  deepStrictEqual(await fixture.versions(), { titles: [1, 2] });
  deepStrictEqual(await fixture.resolve("titles@1"), "titles@1 in first");
  deepStrictEqual(await fixture.resolve("titles"), "titles@2 in second");
  deepStrictEqual(await fixture.resolve("first"), "titles@1 in first");

  await fixture.finish("third", "titles", 50);
  await Deno.remove(join(fixture.dir, "first"), { recursive: true });
  await fixture.restart();
  deepStrictEqual(await fixture.versions(), { titles: [2, 3] });
  // The same folder is trained again.
  await fixture.finish("second", "titles", 300);
  deepStrictEqual(await fixture.versions(), { titles: [3, 4] });
  deepStrictEqual(await fixture.resolve("titles@4"), "titles@4 in second");
});

Deno.test("ModelRegistry leaves a name at the version that answers, until another is promoted", async () => {
  await using fixture = await Fixture.create();
  await fixture.finish("a1", "a", 100);
  deepStrictEqual(await fixture.resolve("a"), "a@1 in a1");
  await fixture.finish("a2", "a", 200);
  deepStrictEqual(await fixture.versions(), { a: [1, 2] });
  for (const reference of ["a", "a:current", undefined]) {
    deepStrictEqual(await fixture.resolve(reference), "a@1 in a1", `${reference}`);
  }
  await fixture.restart();
  await fixture.finish("a3", "a", 300);
  deepStrictEqual(await fixture.versions(), { a: [1, 2, 3] });
  deepStrictEqual(await fixture.resolve("a"), "a@1 in a1");
  await rejects(fixture.registry.deleteAlias("a", "current"), { name: "ModelConflictError" });
  await fixture.registry.setAlias("a", "current", [{ version: 3, weight: 1 }]);
  deepStrictEqual(await fixture.resolve("a"), "a@3 in a3");

  // No server runs meanwhile.
  await fixture.finish("a4", "a", 400, { promote: true });
  await fixture.restart();
  deepStrictEqual(await fixture.resolve("a"), "a@4 in a4");
  deepStrictEqual(await fixture.resolve("a@1"), "a@1 in a1");
});

Deno.test("ModelRegistry gives a name other classes where that is said alone", async () => {
  await using fixture = await Fixture.create();
  await fixture.finish("a1", "a", 100);
  await fixture.versions();
  await fixture.finish("a2", "a", 200, { promote: true, labels: ["x", "z"] });
  await fixture.versions();
  deepStrictEqual(await fixture.resolve("a"), "a@1 in a1");
  const { registry } = fixture;
  const [first, second] = [{ version: 1, weight: 1 }, { version: 2, weight: 1 }];
  for (const alias of ["current", "canary"]) {
    await rejects(registry.setAlias("a", alias, [first, second]), { name: "ModelConflictError" });
  }
  await rejects(registry.setAlias("a", "current", [second]), /for other classes/);
  await registry.setAlias("a", "stable", [second]);
  await rejects(registry.setAlias("a", "stable", [first]), { name: "ModelConflictError" });
  await registry.setAlias("a", "current", [second], { otherClasses: true });
  deepStrictEqual(await fixture.resolve("a"), "a@2 in a2");
  // The same classes in another order count as the same.
  await fixture.finish("a3", "a", 300, { promote: true, labels: ["z", "x"] });
  await fixture.versions();
  deepStrictEqual(await fixture.resolve("a"), "a@3 in a3");
});

Deno.test("ModelRegistry takes no version for another because its files were touched", async () => {
  await using fixture = await Fixture.create();
  await fixture.finish("a1", "a", 100);
  await fixture.finish("b1", "b", 100);
  await fixture.versions();
  await fixture.registry.delete("b");
  for (const folder of ["a1", "b1"]) {
    await Deno.utime(join(fixture.dir, folder, METRICS_FILE), 500, 500);
  }
  deepStrictEqual(await fixture.versions(), { a: [1] });
  await fixture.restart();
  deepStrictEqual(await fixture.versions(), { a: [1] });
});

Deno.test("ModelRegistry knows the versions that an earlier version of Graft stored", async () => {
  await using fixture = await Fixture.create();
  await fixture.finish("a1", "a", 100);
  await fixture.finish("a2", "a", 200);
  await fixture.versions();
  // Files were told from others by their time alone, then by longer digests.
  const [{ identity: _, ...first }, second] = await fixture.store.versions() as [
    StoredVersion,
    StoredVersion,
  ];
  await fixture.store.putVersions([first, { ...second, identity: "0".repeat(64) }]);
  await fixture.restart();
  await fixture.finish("a3", "a", 300);
  deepStrictEqual(await fixture.versions(), { a: [1, 2, 3] });
  deepStrictEqual(await fixture.resolve("a"), "a@2 in a2");
  // From there on their time does not matter.
  await Deno.utime(join(fixture.dir, "a1", METRICS_FILE), 500, 500);
  await fixture.restart();
  deepStrictEqual(await fixture.versions(), { a: [1, 2, 3] });
});

Deno.test("ModelRegistry keeps aliases and what was deleted when the server starts again", async () => {
  await using fixture = await Fixture.create();
  await fixture.finish("a1", "a", 100);
  await fixture.finish("a2", "a", 200);
  await fixture.finish("b1", "b", 300);
  await fixture.versions();
  await fixture.registry.setAlias("a", "stable", [{ version: 1, weight: 1 }]);
  await fixture.registry.setAlias("a", "default", [{ version: 1, weight: 1 }]);
  await fixture.registry.setAlias("b", "default", [{ version: 1, weight: 1 }]);
  await rejects(fixture.registry.delete("a@1"), { name: "ModelConflictError" });
  await fixture.registry.delete("a@2");
  await fixture.restart();
  deepStrictEqual(await fixture.versions(), { a: [1], b: [1] });
  deepStrictEqual(await fixture.resolve("a:stable"), "a@1 in a1");
  // Only one model has it at a time.
  deepStrictEqual(await fixture.resolve(), "b@1 in b1");
  await rejects(fixture.resolve("a:default"), { name: "UnknownModelError" });

  await fixture.registry.delete("a");
  await fixture.restart();
  deepStrictEqual(await fixture.versions(), { b: [1] });
  // The number of a removed version is not used again.
  await fixture.finish("a3", "a", 400);
  deepStrictEqual(await fixture.versions(), { a: [3], b: [1] });
  await rejects(fixture.resolve("a:stable"), { name: "UnknownModelError" });
});

Deno.test("ModelRegistry divides the keys of an alias by weight, and moves no more than it must", async () => {
  await using fixture = await Fixture.create();
  await fixture.finish("a1", "a", 100);
  await fixture.finish("a2", "a", 200);
  await fixture.versions();
  const keys = Array.from({ length: 300 }, (_, i) => `key ${i}`);
  const split = async (weight: number) => {
    await fixture.registry.setAlias("a", "canary", [
      { version: 2, weight },
      { version: 1, weight: 100 - weight },
    ]);
    const chosen = await Promise.all(keys.map((key) => fixture.registry.resolve("a:canary", key)));
    return new Set(keys.filter((_, i) => chosen[i]!.version === 2));
  };
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 100 }),
      fc.integer({ min: 0, max: 100 }),
      async (a, b) => {
        const [few, many] = [await split(Math.min(a, b)), await split(Math.max(a, b))];
        // A growing canary keeps the keys that it has.
        deepStrictEqual([...few].filter((key) => !many.has(key)), []);
        const expected = Math.max(a, b) / 100 * keys.length;
        deepStrictEqual(Math.abs(many.size - expected) < 50, true, `${many.size} for ${expected}`);
      },
    ),
    { numRuns: 20 },
  );
});

Deno.test("ModelRegistry never makes a path of a name", async () => {
  await using fixture = await Fixture.create();
  await fixture.finish("a1", "a", 100);
  const names = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom("../a1", "/etc", "a1/../a1", "a1/", "./a1", "a@", "a@1.0", "a@01x", "a:", "@1"),
  ).filter((name) => !["a", "a1", "a@1"].includes(name));
  await fc.assert(
    fc.asyncProperty(names, async (name) => {
      await rejects(fixture.resolve(name), { name: "UnknownModelError" });
    }),
    { numRuns: 50 },
  );
});

Deno.test("ModelRegistry makes changes that come at once as if one had come after the other", async () => {
  await using fixture = await Fixture.create();
  await fixture.finish("1", "a", 1000);
  await fixture.finish("2", "b", 2000);
  const { registry } = fixture;
  const version = [{ version: 1, weight: 1 }];
  await Promise.all(Array.from({ length: 3 }, () => registry.setAlias("a", "stable", version)));
  await registry.deleteAlias("a", "stable");
  await rejects(registry.resolve("a:stable"), { name: "UnknownModelError" });

  await Promise.all(["a", "b"].map((name) => registry.setAlias(name, "default", version)));
  const aliases = (await registry.list()).map(({ aliases }) => [...aliases.keys()]);
  deepStrictEqual(aliases, [[], ["default"]]);
});
