import { deepStrictEqual, ok } from "node:assert";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { packagesDir } from "../lib/permissions.ts";
import { permissionsOf } from "./least_privilege.ts";

const HUB = ["huggingface.co", "*.huggingface.co", "*.hf.co"];
const CACHE = "/home/me/.cache/huggingface/hub";
/** What every command may read. */
const OWN = [fileURLToPath(new URL("../", import.meta.url)), packagesDir()];

/** The values of each permission; of `read` those beside Graft's own files and what is written. */
async function permissions(
  args: readonly string[],
  variables: Record<string, string> = {},
): Promise<Record<string, string[]>> {
  const environment = { get: (name: string) => ({ HOME: "/home/me", ...variables })[name] };
  const found: Record<string, string[]> = {};
  for (const flag of await permissionsOf(args, { environment })) {
    const [, name, value] = /^--allow-(\w+)(?:=(.*))?$/s.exec(flag)!;
    (found[name!] ??= []).push(
      ...name === "read" || name === "write" ? [value ?? "all"] : value?.split(",") ?? ["all"],
    );
  }
  const known = [...OWN, ...found["write"] ?? []];
  found["read"] = found["read"]!.filter((path) => path === "all" || !known.includes(path));
  return found;
}

/** Folders of a test: a run that names its data, an adapter that names its base, and links. */
async function inFolders(test: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.realPath(await Deno.makeTempDir());
  const write = async (file: string, content: unknown) => {
    await Deno.mkdir(join(dir, file, ".."), { recursive: true });
    await Deno.writeTextFile(join(dir, file), JSON.stringify(content));
  };
  try {
    await write("run/training_args.json", { model: "owner/base", data: "/data/of/run", epochs: 3 });
    await write("run/checkpoints/checkpoint-5/config.json", {});
    await write("adapter/adapter_config.json", { base_model_name_or_path: join(dir, "base_link") });
    await write("hub_adapter/adapter_config.json", { base_model_name_or_path: "owner/base" });
    await write("search/tune.json", { data: "/data/of/search", settings: { model: "/base" } });
    await write("pretraining/training_args.json", { texts: ["/a.txt", "/b.txt"], teacher: "/t" });
    await write("damaged/training_args.json", [{ data: [null, 5, { data: {} }] }, null]);
    await write("base/config.json", {});
    await Deno.symlink(join(dir, "base"), join(dir, "base_link"));
    await test(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("permissionsOf() names what the options of a command name", async () => {
  const here = (...paths: string[]) => paths.map((path) => resolve(path));
  const file = (path: string) => here(path, `${path}.partial`);
  for (
    const [command, expected] of [
      ["train", { read: [], write: here("runs") }],
      ["train --data=/d --out o", { read: ["/d"], write: here("o") }],
      ["train --model bundled --data /d --epochs 3", {
        read: here("/d", "bundled"),
        write: here("runs"),
      }],
      ["tune --data /d --out /o", { read: ["/d"], write: ["/o"] }],
      ["pretrain --texts /a /b --teacher /t", { read: ["/a", "/b", "/t"], write: here("bases") }],
      ["eval --model /m --file /f --predictions p", {
        read: ["/f", "/m"],
        write: [...file("p"), "/m/onnx"],
      }],
      ["predict --model /m /etc/passwd --out=/o/p", {
        read: ["/m"],
        write: ["/o/p", "/o/p.partial", "/m/onnx"],
      }],
      ["predict --model /m -- --out=/o/p", { read: ["/m"], write: ["/m/onnx"] }],
      ["predict --mixed", { read: ["all"] }],
      ["export --model /m --merge --out /o", { read: ["/m"], write: ["/o", "/m/onnx"] }],
      ["data prepare /raw --delimiter , --out /o", { read: ["/raw"], write: ["/o"] }],
      ["data audit --json /d", { read: [], write: file("audit.html") }],
      ["data audit /d --model /m", {
        read: ["/m", "/d"],
        write: [...file("audit.html"), ...file("/d/audit.html")],
      }],
      ["runs show ID --runs /r", { read: [], write: ["/r", "/r/state.kv", "/r/state.kv.lock"] }],
      ["cluster publish /m --cluster a,b", { read: ["/m"] }],
      ["migrate --kv /s --nats-creds /c", {
        read: ["/c"],
        write: [...here("runs"), "/s", "/s.lock"],
      }],
      ["nothing /etc", { read: [] }],
      ["", { read: [] }],
    ] as const
  ) {
    const { read, write } = await permissions(command.split(" "));
    deepStrictEqual({ read, write }, { write: undefined, ...expected }, command);
  }
});

Deno.test("permissionsOf() names the hosts that a command reaches", async () => {
  const loopback = ["127.0.0.1", "localhost"];
  for (
    const [command, net] of [
      ["train", undefined],
      ["train --model scratch:tiny", undefined],
      ["train --model models/bundled", undefined],
      ["train --model someone/model", HUB],
      ["pretrain --texts a --teacher someone/model", HUB],
      ["eval --model someone/model", undefined],
      ["runs list --runs /nowhere", loopback],
      ["runs list --server https://example.com/graft", ["example.com:443"]],
      ["data audit /d", undefined],
      ["data fetch --out o", ["raw.githubusercontent.com:443"]],
      ["data fetch --out o --from http://[::1]:81/x", ["[::1]:81"]],
      ["cluster status --cluster nats://me:secret@a:4223,b,tls://c", [
        "a:4223",
        "b:4222",
        "c:4222",
      ]],
      ["migrate --cluster=a", ["a:4222"]],
      ["worker --cluster a", ["a:4222", ...HUB]],
      ["serve", ["127.0.0.1:8000", "127.0.0.1"]],
      ["serve --host ::1 --port 0", ["[::1]", "127.0.0.1"]],
      ["serve --port x", ["127.0.0.1"]],
      ["serve --kv https://kv.example/x", ["127.0.0.1:8000", "127.0.0.1", "kv.example:443"]],
      ["serve --allow-base models/bundled", ["127.0.0.1:8000", "127.0.0.1"]],
      ["serve --allow-base someone/model", ["127.0.0.1:8000", "127.0.0.1", ...HUB]],
      ["serve --cluster a", ["all"]],
    ] as const
  ) {
    deepStrictEqual((await permissions(command.split(" ")))["net"], net, command);
  }
  const mirror = await permissions(["train", "--model", "a/b"], {
    HF_ENDPOINT: "http://mirror:81",
  });
  deepStrictEqual(mirror["net"], [...HUB, "mirror"]);
});

Deno.test("permissionsOf() opens the hub's cache where a model may come from it", async () => {
  await inFolders(async (dir) => {
    const trains = await permissions(["train", "--model", "someone/model"]);
    ok(trains["write"]!.includes(CACHE));
    ok(trains["env"]!.includes("HF_TOKEN"));
    const reads = await permissions(["predict", "--model", join(dir, "hub_adapter"), "text"]);
    ok(reads["read"]!.includes(CACHE));
    ok(!reads["write"]!.includes(CACHE));
    const needsNone = await permissions(["predict", "--model", join(dir, "adapter"), "text"]);
    ok(!needsNone["read"]!.includes(CACHE));
    deepStrictEqual(needsNone["env"], undefined);
    // The command says that the place is unknown.
    const unknown = await permissions(["train", "--model", "a/b"], { HOME: "" });
    deepStrictEqual(unknown["write"], [resolve("runs")]);
  });
});

Deno.test("permissionsOf() reads what the folders of models and runs name", async () => {
  await inFolders(async (dir) => {
    const at = (...names: string[]) => names.map((name) => join(dir, name));
    const [run, adapter, search, pretraining, damaged] = at(
      "run",
      "adapter",
      "search",
      "pretraining",
      "damaged",
    );
    const checkpoint = `${run}/checkpoints/checkpoint-5`;
    for (
      const [args, read] of [
        [["eval", "--model", run], [run, "/data/of/run"]],
        [["eval", "--model", checkpoint], [checkpoint, run, "/data/of/run"]],
        [["predict", "--model", run], [run]],
        [["predict", "--model", adapter], [adapter, ...at("base_link", "base")]],
        [["train", "--resume", "--out", run], ["/data/of/run", resolve("owner/base")]],
        [["train", "--out", run], []],
        [["tune", "--resume", "--out", search], ["/data/of/search", "/base"]],
        [["pretrain", "--resume", "--out", pretraining], ["/a.txt", "/b.txt", "/t"]],
        [["eval", "--model", damaged], [damaged]],
      ] as [string[], string[]][]
    ) {
      deepStrictEqual((await permissions(args))["read"], read, args.join(" "));
    }
    deepStrictEqual((await permissions(["train", "--resume", "--out", run!]))["net"], HUB);
  });
});

Deno.test("permissionsOf() makes Deno refuse the neighbours of what is named", async () => {
  await inFolders(async (dir) => {
    const environment = { get: () => undefined };
    /** The paths that a process may not use which has the permissions of a command. */
    const refused = async (args: string[], tries: Record<"stat" | "mkdir", string[]>) => {
      const program = join(dir, "program.ts");
      await Deno.writeTextFile(
        program,
        `for (const [name, paths] of Object.entries(${JSON.stringify(tries)})) {
          for (const path of paths) {
            await Deno[name](path).catch((error) => {
              if (error instanceof Deno.errors.NotCapable) console.log(path);
            });
          }
        }`,
      );
      const flags = await permissionsOf(args.map((arg) => arg.replace("DIR", dir)), {
        environment,
      });
      const { stdout } = await new Deno.Command("deno", {
        args: ["run", "--no-prompt", ...flags, program],
        env: { NO_COLOR: "1" },
      }).output();
      return new TextDecoder().decode(stdout).trim().split("\n");
    };
    const at = (...names: string[]) => names.map((name) => join(dir, name));

    deepStrictEqual(
      await refused(["train", "--data", "DIR/run", "--model=DIR/base_link", "--out", "DIR/out"], {
        stat: at("run", "run/x", "base_link/config.json", "base/config.json", "adapter", "r", ""),
        mkdir: at("out", "out/x", "out2", "run/x", "base/onnx"),
      }),
      [...at("adapter", "r"), dir, ...at("out2", "run/x", "base/onnx")],
    );
    deepStrictEqual(
      await refused(
        ["eval", "--model", "DIR/base", "--file", "DIR/run/f.csv", "--per-class=DIR/p"],
        {
          stat: at("base/config.json", "run/f.csv", "run/training_args.json", "search"),
          mkdir: at("base/onnx", "p", "base/x", "p2"),
        },
      ),
      at("run/training_args.json", "search", "base/x", "p2"),
    );
  });
});

Deno.test("permissionsOf() lets a server and a worker start processes, and no other command", async () => {
  for (const command of ["serve", "worker --cluster a"]) {
    const { run, env } = await permissions(command.split(" "));
    deepStrictEqual(run, ["deno"], command);
    ok(env!.includes("PATH") && env!.includes("HF_HOME"), command);
  }
  for (const command of ["train", "eval --model m", "cluster status", "data fetch", "runs list"]) {
    deepStrictEqual((await permissions(command.split(" ")))["run"], undefined, command);
  }
});

Deno.test("permissionsOf() names no path but given ones, whatever the arguments", async () => {
  const word = fc.oneof(
    fc.constantFrom(
      "--data",
      "--model",
      "--out",
      "--file",
      "--texts",
      "--cluster",
      "--resume",
      "--",
    ),
    fc.string().map((name) => `/given/${name.replaceAll(/[^\w-]/g, "")}`),
    fc.string().map((text) => text.replaceAll(/[/.]/g, "")),
  );
  const command = fc.constantFrom("train", "tune", "pretrain", "predict", "export", "data audit");
  const current = resolve(".");
  await fc.assert(fc.asyncProperty(command, fc.array(word), async (command, words) => {
    // Without --model the last run is looked for.
    const args = [...command.split(" "), "--model", "/given/model", ...words];
    // Paths with a comma allow all.
    fc.pre(!args.some((arg) => arg.includes(",")));
    const { read, write = [] } = await permissions(args);
    for (const path of [...read!, ...write]) {
      ok(path === CACHE || path.startsWith("/given") || path.startsWith(current), path);
    }
  }));
});

Deno.test("permissionsOf() gives a folder of its own for temporary files", async () => {
  const surroundings = { environment: { get: () => undefined }, temporaryDir: "/t" };
  const flags = await permissionsOf(["train", "--out", "/o"], surroundings);
  for (const flag of ["--allow-read=/t", "--allow-write=/t"]) ok(flags.includes(flag));
});

Deno.test("permissionsOf() names no path that Deno would take for two", async () => {
  deepStrictEqual((await permissions(["serve", "--runs", "/a,b"]))["read"], ["all"]);
});

Deno.test("permissionsOf() names a folder behind a link by both its names, also one to be made", async () => {
  await inFolders(async (dir) => {
    const names = [join(dir, "base_link"), join(dir, "base")];
    const served = await permissions(["serve", "--runs", names[0]!]);
    ok(names.every((path) => served["write"]!.includes(path)));
    const trained = await permissions(["train", "--out", join(names[0]!, "a", "b")]);
    ok(names.every((path) => trained["write"]!.includes(join(path, "a", "b"))));
  });
});
