import { deepStrictEqual, match, ok, rejects } from "node:assert";
import fc from "fast-check";
import { join } from "node:path";
import { COMMIT, LocalHub } from "../tests/support/local_hub.ts";
import { saveClassifier } from "./formats/classifier_folder.ts";
import { type DownloadEvent, type HubOptions, modelDir } from "./hub.ts";
import { pretrainedClassifier } from "./pretrained.ts";
import { scratchClassifier } from "./scratch.ts";

const LABELS = ["food", "music"];
const CLASSIFIER = scratchClassifier("tiny", ["a duet for two pianos", "sour dough"], LABELS, {
  seed: 11,
  maxLength: 64,
});
const NEEDED = [
  "config.json",
  "model.safetensors",
  "special_tokens_map.json",
  "tokenizer.json",
  "tokenizer_config.json",
];
const encode = (text: string) => new TextEncoder().encode(text);

interface Fixture {
  hub: LocalHub;
  /** The folder in which the model was saved. */
  folder: string;
  cache: string;
  /** Resolves a model with these variables beside those of the hub and the cache. */
  resolve(
    model: string,
    variables?: Record<string, string>,
    options?: HubOptions,
  ): Promise<string>;
  events: DownloadEvent[];
}

/** Runs a test with a hub that has a classifier's files, as they are or changed. */
async function withHub(
  test: (fixture: Fixture) => Promise<void>,
  change: (files: Map<string, Uint8Array<ArrayBuffer>>) => void = () => {},
): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    const folder = join(dir, "folder");
    await saveClassifier(folder, CLASSIFIER);
    const files = new Map<string, Uint8Array<ArrayBuffer>>([
      ["pytorch_model.bin", encode("a pickle")],
    ]);
    for (const { name, isFile } of Deno.readDirSync(folder)) {
      if (isFile) files.set(name, await Deno.readFile(join(folder, name)));
    }
    change(files);
    await using hub = new LocalHub(files);
    const cache = join(dir, "cache", "hub");
    const events: DownloadEvent[] = [];
    const resolve: Fixture["resolve"] = (model, variables = {}, options = {}) =>
      modelDir(model, {
        ...options,
        environment: new Map(
          Object.entries({
            HF_ENDPOINT: hub.endpoint,
            HF_HOME: join(dir, "cache"),
            ...variables,
          }),
        ),
        onDownload: (event) => events.push(event),
      });
    await test({ hub, folder, cache, resolve, events });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function namesIn(dir: string): string[] {
  return [...Deno.readDirSync(dir)].map(({ name }) => name).sort();
}

Deno.test("modelDir() downloads what a classifier is read from, and no more", async () => {
  await withHub(async ({ hub, folder, cache, resolve, events }) => {
    const dir = await resolve("acme/tiny");
    deepStrictEqual(dir, join(cache, "models--acme--tiny", "snapshots", COMMIT));
    deepStrictEqual(namesIn(dir), NEEDED);
    const options = { seed: 11, maxLength: 64 };
    deepStrictEqual(
      (await pretrainedClassifier(dir, LABELS, options)).weights,
      (await pretrainedClassifier(folder, LABELS, options)).weights,
    );
    for (const name of NEEDED) {
      const size = hub.files.get(name)!.length;
      const parts = events.filter(({ file }) => file === name);
      deepStrictEqual(parts[0], { type: "download", file: name, received: 0, size });
      deepStrictEqual(parts.at(-1), { type: "download", file: name, received: size, size });
    }
  });
});

Deno.test("modelDir() lays the cache out as huggingface_hub does", async () => {
  await withHub(async ({ cache, resolve }) => {
    await resolve("acme/tiny@v1");
    const dir = join(cache, "models--acme--tiny");
    deepStrictEqual(await Deno.readTextFile(join(dir, "refs", "v1")), COMMIT);
    const blobs = namesIn(join(dir, "blobs"));
    deepStrictEqual(blobs.length, NEEDED.length);
    for (const name of NEEDED) {
      const target = await Deno.readLink(join(dir, "snapshots", COMMIT, name));
      match(target, /^\.\.\/\.\.\/blobs\//);
      ok(blobs.includes(target.slice("../../blobs/".length)), target);
    }
  });
});

Deno.test("modelDir() names a file's content alike where a proxy weakens the ETag", async () => {
  await withHub(async ({ hub, resolve }) => {
    hub.answer = ({ path }) => {
      if (!path.endsWith("/config.json")) return undefined;
      const headers = { "X-Repo-Commit": COMMIT, ETag: 'W/"abc"' };
      return new Response(hub.files.get("config.json"), { headers });
    };
    const dir = await resolve("acme/tiny");
    deepStrictEqual(await Deno.readLink(join(dir, "config.json")), "../../blobs/abc");
  });
});

Deno.test("modelDir() needs no hub for what the cache holds", async () => {
  await withHub(async ({ hub, resolve }) => {
    const dir = await resolve("tiny");
    const count = hub.requests.length;
    deepStrictEqual(await resolve("tiny"), dir);
    deepStrictEqual(await resolve(`tiny@${COMMIT}`), dir);
    deepStrictEqual(await resolve("tiny", { HF_HUB_OFFLINE: "1" }), dir);
    deepStrictEqual(hub.requests.length, count);
    await hub[Symbol.asyncDispose]();
    deepStrictEqual(await resolve("tiny"), dir);
  });
});

Deno.test("modelDir() downloads only what the cache lacks", async () => {
  await withHub(async ({ hub, cache, resolve, events }) => {
    const dir = await resolve("acme/tiny");
    const lost = "tokenizer_config.json";
    const blob = await Deno.readLink(join(dir, lost));
    await Deno.remove(join(dir, lost));
    hub.requests.length = 0;
    events.length = 0;
    deepStrictEqual(await resolve("acme/tiny"), dir);
    deepStrictEqual(
      hub.requests.map(({ path }) => path.split("/").at(-1)),
      ["config.json", lost, "added_tokens.json"],
    );
    deepStrictEqual(events, []);

    await Deno.remove(join(cache, "models--acme--tiny", blob.slice("../../".length)));
    deepStrictEqual(await resolve("acme/tiny"), dir);
    deepStrictEqual([...new Set(events.map(({ file }) => file))], [lost]);
  });
});

Deno.test("modelDir() takes a tokenizer of vocab.txt alone, and knows that offline", async () => {
  await withHub(async ({ resolve }) => {
    const dir = await resolve("acme/tiny");
    deepStrictEqual(namesIn(dir), [
      "config.json",
      "model.safetensors",
      "special_tokens_map.json",
      "vocab.txt",
    ]);
    deepStrictEqual(await resolve("acme/tiny", { HF_HUB_OFFLINE: "1" }), dir);
  }, (files) => {
    files.delete("tokenizer.json");
    files.delete("tokenizer_config.json");
  });
});

Deno.test("modelDir() takes offline what another program has put into the cache", async () => {
  await withHub(async ({ cache, resolve }) => {
    const dir = await resolve("acme/tiny");
    // huggingface_hub knows only about files that it has asked for.
    await Deno.remove(join(cache, "models--acme--tiny", ".no_exist"), { recursive: true });
    deepStrictEqual(await resolve("acme/tiny", { HF_HUB_OFFLINE: "1" }), dir);
  }, (files) => {
    files.delete("special_tokens_map.json");
  });
});

Deno.test("modelDir() downloads further files where the model has them, and knows that offline", async () => {
  await withHub(async ({ folder, resolve }) => {
    const optionalFiles = ["1_Pooling/config.json", "2_Dense/config.json"];
    deepStrictEqual(namesIn(await resolve("acme/tiny")), NEEDED);
    const dir = await resolve("acme/tiny", {}, { optionalFiles });
    deepStrictEqual(namesIn(dir), ["1_Pooling", ...NEEDED]);
    deepStrictEqual(await Deno.readTextFile(join(dir, optionalFiles[0]!)), "{}");
    deepStrictEqual(await resolve("acme/tiny", { HF_HUB_OFFLINE: "1" }, { optionalFiles }), dir);
    deepStrictEqual(await resolve(folder, {}, { optionalFiles }), folder);
  }, (files) => {
    files.set("1_Pooling/config.json", encode("{}"));
  });
});

Deno.test("modelDir() downloads weights in shards", async () => {
  await withHub(async ({ resolve }) => {
    const dir = await resolve("acme/tiny");
    deepStrictEqual(namesIn(dir).filter((name) => name.startsWith("model")), [
      "model-1.safetensors",
      "model-2.safetensors",
      "model.safetensors.index.json",
    ]);
    deepStrictEqual(await resolve("acme/tiny", { HF_HUB_OFFLINE: "1" }), dir);
  }, (files) => {
    files.delete("model.safetensors");
    const weight_map = { a: "model-1.safetensors", b: "model-2.safetensors" };
    files.set("model.safetensors.index.json", encode(JSON.stringify({ weight_map })));
    for (const name of Object.values(weight_map)) files.set(name, encode(name));
  });
});

Deno.test("modelDir() shows the token to the hub and to no other host", async () => {
  await withHub(async ({ hub, resolve }) => {
    hub.token = "hf_secret";
    await rejects(resolve("tiny"), {
      name: "UserError",
      message: `Cannot find 'tiny': no folder of that name, and no public model on ` +
        `${hub.endpoint}; for a private one set HF_TOKEN`,
    });
    await rejects(resolve("tiny", { HF_TOKEN: "hf_wrong" }), /does not accept the token/);
    hub.requests.length = 0;
    await resolve("tiny", { HF_TOKEN: "hf_secret" });
    ok(hub.requests.some(({ cdn }) => cdn));
    for (const { cdn, token } of hub.requests) {
      deepStrictEqual(token, cdn ? null : "Bearer hf_secret");
    }
  });
});

Deno.test("modelDir() takes a folder that is there before a name on the hub", async () => {
  await withHub(async ({ hub, folder, resolve }) => {
    const cwd = Deno.cwd();
    Deno.chdir(join(folder, ".."));
    try {
      deepStrictEqual(await resolve("folder"), "folder");
    } finally {
      Deno.chdir(cwd);
    }
    deepStrictEqual(hub.requests, []);
  });
});

Deno.test("modelDir() takes what cannot be a name on the hub for a folder", async () => {
  await withHub(async ({ hub, resolve }) => {
    for (
      const path of [
        "./my_bert",
        "/x/y",
        "a/b/c",
        "../up",
        "a/..",
        "a..b",
        "a--b",
        "my bert",
        "my_bert/",
        "C:\\bert",
        "tiny@",
        "tiny@../x",
        "tiny@/x",
      ]
    ) {
      deepStrictEqual(await resolve(path), path);
    }
    deepStrictEqual(hub.requests, []);
  });
});

Deno.test("modelDir() takes no download that ended early for whole", async () => {
  await withHub(async ({ hub, cache, resolve }) => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...NEEDED),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        fc.boolean(),
        async (file, share, isStated) => {
          const content = hub.files.get(file)!;
          const part = content.subarray(0, Math.floor(share * content.length));
          // A length that is too large breaks the connection; without one, the size shows the
          // fault.
          hub.answer = ({ cdn, path }) => {
            if (!path.endsWith(`/${file}`)) return undefined;
            const length = { "Content-Length": String(content.length) };
            const body = new ReadableStream({
              start(controller) {
                controller.enqueue(part);
                controller.close();
              },
            });
            if (cdn) return new Response(body, isStated ? { headers: length } : {});
            if (file === "model.safetensors") return undefined;
            const headers = { "X-Repo-Commit": COMMIT, ETag: '"a"', ...length };
            return new Response(body, { headers });
          };
          await rejects(resolve("acme/tiny"), {
            name: "UserError",
            message: /^Cannot download 'acme\/tiny': \S+ ended after \d+ bytes of \d+; try again$/,
          });
          await rejects(
            resolve("acme/tiny", { HF_HUB_OFFLINE: "1" }),
            /not all of it in the cache/,
          );

          hub.answer = () => undefined;
          const dir = await resolve("acme/tiny");
          for (const name of NEEDED) {
            deepStrictEqual(await Deno.readFile(join(dir, name)), hub.files.get(name), name);
          }
          deepStrictEqual(
            namesIn(join(cache, "models--acme--tiny", "blobs")).length,
            NEEDED.length,
          );
          await Deno.remove(cache, { recursive: true });
        },
      ),
      { numRuns: 15 },
    );
  });
});

Deno.test("modelDir() leaves a download that stands still, or is stopped, and nothing of it", async () => {
  await withHub(async ({ hub, cache, resolve }) => {
    const stopping = new AbortController();
    // Deno.serve notices that nobody reads a body only when it sends more of it.
    hub.answer = ({ path }) => {
      if (!path.endsWith("/vocab.txt") && !path.endsWith("/tokenizer.json")) return undefined;
      const body = new ReadableStream({ start: (stream) => stream.enqueue(encode("{")) });
      return new Response(body, { headers: { "X-Repo-Commit": COMMIT, ETag: '"a"' } });
    };
    await rejects(resolve("acme/tiny", {}, { idleTimeoutMs: 1000 }), {
      name: "UserError",
      message: "Cannot download 'acme/tiny': tokenizer.json: no answer for 1 s; try again",
    });
    const stopped = resolve("acme/tiny", {}, { signal: stopping.signal });
    setTimeout(() => stopping.abort(), 100);
    await rejects(stopped, (error) => error === stopping.signal.reason);
    const blobs = namesIn(join(cache, "models--acme--tiny", "blobs"));
    deepStrictEqual(blobs.filter((name) => name.endsWith(".incomplete")), []);
  });
});

Deno.test("modelDir() can download a model twice at once", async () => {
  await withHub(async ({ hub, resolve }) => {
    const [dir] = await Promise.all([resolve("acme/tiny"), resolve("acme/tiny")]);
    for (const name of NEEDED) {
      deepStrictEqual(await Deno.readFile(join(dir!, name)), hub.files.get(name), name);
    }
  });
});

Deno.test("modelDir() says what is tried where the hub cannot be reached", async () => {
  await withHub(async ({ hub, cache, resolve }) => {
    const { endpoint } = hub;
    const tried = `Cannot find 'bert': no folder of that name, not all of it in the cache ` +
      `'${cache}', and `;
    const instead = "; a folder with the model's files will do as well";
    await rejects(resolve("bert", { HF_HUB_OFFLINE: "1" }), {
      name: "UserError",
      message: `${tried}HF_HUB_OFFLINE is set${instead}`,
    });
    deepStrictEqual(hub.requests, []);
    await hub[Symbol.asyncDispose]();
    await rejects(resolve("bert"), (error: Error) => {
      ok(error.message.startsWith(`${tried}${endpoint} cannot be reached (`), error.message);
      ok(error.message.endsWith(instead), error.message);
      return error.name === "UserError" && !error.message.includes("\n");
    });
    // The tests may connect to this machine only, by two of its names.
    await rejects(resolve("bert", { HF_ENDPOINT: "http://127.0.0.2:8999/" }), {
      name: "UserError",
      message:
        /connections to 127.0.0.2:8999 are not allowed: .* with --allow-net=127.0.0.2:8999 too/,
    });
    await rejects(resolve("bert", { HF_ENDPOINT: "hub" }), /'hub': it must be an http\(s\) URL/);
    const nowhere = modelDir("bert", { environment: new Map() });
    await rejects(nowhere, /Cannot tell where to keep downloads: set HF_HOME/);
  });
});

for (
  const [fault, model, answer, message] of [
    ["an unknown model", "acme/none", {}, /^Cannot find 'acme\/none': no folder .*no public model/],
    ["an unknown revision", "acme/tiny@v2", {}, /\/acme\/tiny has no revision 'v2'$/],
    [
      "a gated model",
      "acme/tiny",
      { "config.json": { status: 401, headers: { "X-Error-Code": "GatedRepo" } } },
      /it needs permission; ask for it on http:.*\/acme\/tiny and set HF_TOKEN$/,
    ],
    ["a forbidden model", "acme/tiny", { "tokenizer.json": { status: 403 } }, /needs permission/],
    [
      "a server in trouble",
      "acme/tiny",
      { "config.json": { status: 503, statusText: "Service Unavailable" } },
      /^Cannot download 'acme\/tiny': http:\S+ answered 503 Service Unavailable$/,
    ],
    ["a lost large file", "acme/tiny", { "/model.safetensors": { status: 404 } }, /answered 404/],
    [
      "another kind of server",
      "acme/tiny",
      { "config.json": { status: 200 } },
      /does not answer as the hub does$/,
    ],
    [
      "an ETag that leaves the cache",
      "acme/tiny",
      {
        "config.json": { status: 200, headers: { "X-Repo-Commit": COMMIT, "ETag": '"../../a"' } },
      },
      /does not answer as the hub does$/,
    ],
    [
      "a redirect to a file",
      "acme/tiny",
      { "config.json": { status: 302, headers: { Location: "file:///etc/hostname" } } },
      /redirects to 'file:\/\/\/etc\/hostname'$/,
    ],
    [
      "a redirect without end",
      "acme/tiny",
      { "config.json": { status: 302, headers: { Location: "config.json" } } },
      /redirects to 'http/,
    ],
  ] as [string, string, Record<string, ResponseInit>, RegExp][]
) {
  Deno.test(`modelDir() refuses ${fault}`, async () => {
    await withHub(async ({ hub, resolve }) => {
      hub.answer = ({ cdn, path }) => {
        const [, init] = Object.entries(answer)
          .find(([name]) => cdn ? path === name : path.endsWith(`/${name}`)) ?? [];
        return init && new Response(null, init);
      };
      await rejects(resolve(model), { name: "UserError", message });
    });
  });
}

for (
  const [fault, change, message] of [
    [
      "no safetensors",
      (files) => files.delete("model.safetensors"),
      /^Cannot use 'tiny': .*\/tiny holds no model.safetensors; other formats, as pytorch_model.bin/,
    ],
    ["no configuration", (files) => files.delete("config.json"), /\/tiny holds no config.json$/],
    [
      "no tokenizer",
      (files) => files.delete("tokenizer.json") && files.delete("vocab.txt"),
      /\/tiny holds no tokenizer.json or vocab.txt$/,
    ],
    [
      "another architecture",
      (files) => files.set("config.json", encode('{"model_type": "gpt2"}')),
      /config.json': 'model_type' /,
    ],
    [
      "shards outside its folder",
      (files) => {
        files.delete("model.safetensors");
        const index = '{"weight_map": {"a": "../../x.safetensors"}}';
        files.set("model.safetensors.index.json", encode(index));
      },
      /index.json': 'weight_map.a' must be the name of a file$/,
    ],
  ] as [string, (files: Map<string, Uint8Array<ArrayBuffer>>) => void, RegExp][]
) {
  Deno.test(`modelDir() refuses a repository with ${fault}, without its weights`, async () => {
    await withHub(async ({ hub, resolve }) => {
      await rejects(resolve("tiny"), { name: "UserError", message });
      deepStrictEqual(hub.requests.filter(({ cdn }) => cdn), []);
      await rejects(resolve("tiny"), { name: "UserError", message });
    }, change);
  });
}
