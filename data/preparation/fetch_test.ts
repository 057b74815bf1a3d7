import { deepStrictEqual, rejects } from "node:assert";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { fetchFiles, type FetchOptions, type KnownFile, PUBLISHED_FILES } from "./fetch.ts";

const content = Uint8Array.from({ length: 300_000 }, (_, i) => i * 7 % 251);
const file: KnownFile = {
  name: "data.csv",
  bytes: content.length,
  sha256: createHash("sha256").update(content).digest("hex"),
};

/** Fetches from a server of its own into a folder of its own. */
async function withServer(
  handler: (request: Request) => Response | Promise<Response>,
  test: (options: FetchOptions, ranges: (string | null)[]) => Promise<void>,
): Promise<void> {
  const ranges: (string | null)[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    ranges.push(request.headers.get("range"));
    return handler(request);
  });
  const outDir = await Deno.makeTempDir();
  try {
    await test({ from: `http://127.0.0.1:${server.addr.port}/files`, outDir }, ranges);
  } finally {
    await server.shutdown();
    await Deno.remove(outDir, { recursive: true });
  }
}

async function namesIn(dir: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(dir))).map(({ name }) => name).sort();
}

/** Sends half of the bytes asked for and breaks the connection. */
function half(start: number): Response {
  const bytes = content.subarray(start, start + Math.ceil((content.length - start) / 2));
  return new Response(
    new ReadableStream({
      start(controller) {
        controller.enqueue(bytes);
        controller.close();
      },
    }),
    start > 0 ? { status: 206, headers: { "content-range": `bytes ${start}-299999/300000` } } : {},
  );
}

function startOf(request: Request): number {
  return Number(/^bytes=(\d+)-$/.exec(request.headers.get("range") ?? "")?.[1] ?? 0);
}

Deno.test("fetchFiles() downloads a file, tells how far it is, and fetches it once", async () => {
  await withServer(() => new Response(content), async (options, ranges) => {
    const sizes: number[] = [];
    const onProgress = (_: KnownFile, bytes: number) => sizes.push(bytes);
    await fetchFiles([file], { ...options, onProgress });
    deepStrictEqual(await Deno.readFile(join(options.outDir, "data.csv")), content);
    deepStrictEqual(await namesIn(options.outDir), ["data.csv"]);
    deepStrictEqual(sizes.at(-1), 300_000);
    await fetchFiles([file], options);
    deepStrictEqual(ranges, [null]);
  });
});

Deno.test("fetchFiles() goes on where an interrupted download stopped", async () => {
  await withServer(
    (request) => {
      const start = startOf(request);
      if (start < 150_000) return half(start);
      const headers = { "content-range": `bytes ${start}-299999/300000` };
      return new Response(content.subarray(start), { status: 206, headers });
    },
    async (options, ranges) => {
      await rejects(fetchFiles([file], options), {
        name: "UserError",
        message: /ended after 150000 of 300000 bytes; the same command goes on where it stopped$/,
      });
      deepStrictEqual(await namesIn(options.outDir), ["data.csv.partial"]);
      await fetchFiles([file], options);
      deepStrictEqual(await Deno.readFile(join(options.outDir, "data.csv")), content);
      deepStrictEqual(await namesIn(options.outDir), ["data.csv"]);
      deepStrictEqual(ranges, [null, "bytes=150000-"]);
    },
  );
});

Deno.test("fetchFiles() starts anew where the server knows no ranges", async () => {
  await withServer(() => new Response(content), async (options, ranges) => {
    await Deno.writeTextFile(join(options.outDir, "data.csv.partial"), "something else");
    await fetchFiles([file], options);
    deepStrictEqual(await Deno.readFile(join(options.outDir, "data.csv")), content);
    deepStrictEqual(ranges, ["bytes=14-"]);
  });
});

Deno.test("fetchFiles() replaces a file that is not what it must be", async () => {
  await withServer(() => new Response(content), async (options) => {
    await Deno.writeTextFile(join(options.outDir, "data.csv"), "something else");
    await fetchFiles([file], options);
    deepStrictEqual(await Deno.readFile(join(options.outDir, "data.csv")), content);
  });
});

for (
  const [fault, answer, message] of [
    ["a missing file", () => new Response("", { status: 404 }), /: the server answered 404 Not/],
    ["other content", () => new Response(content.toReversed()), /: expected SHA-256 .*, got /],
    [
      "a longer file",
      () => new Response(new Uint8Array(300_001)),
      /: it is longer than the 300000/,
    ],
  ] as const
) {
  Deno.test(`fetchFiles() refuses ${fault} and leaves nothing`, async () => {
    await withServer(answer, async (options) => {
      await rejects(fetchFiles([file], options), { name: "UserError", message });
      deepStrictEqual(await namesIn(options.outDir), []);
    });
  });
}

Deno.test("fetchFiles() gives up on a server that is silent", async () => {
  const { promise, resolve } = Promise.withResolvers<Response>();
  await withServer(() => promise, async (options) => {
    await rejects(fetchFiles([file], { ...options, idleTimeoutMs: 20 }), {
      name: "UserError",
      message: /: no answer for 0\.02 s; /,
    });
    resolve(new Response(""));
  });
});

Deno.test("fetchFiles() refuses what is no URL or no server", async () => {
  const outDir = await Deno.makeTempDir();
  try {
    const fetchFrom = (from: string) => fetchFiles([file], { from, outDir });
    await rejects(fetchFrom("somewhere"), /^UserError: .*'somewhere': it is not a URL$/);
    await rejects(fetchFrom("http://127.0.0.1:1/"), /^UserError: .*: the connection failed; /);
  } finally {
    await Deno.remove(outDir, { recursive: true });
  }
});

const published = Deno.env.get("GRAFT_YOUTUBE_DIR");

Deno.test({
  name: "fetchFiles() knows the published files",
  ignore: published === undefined,
  fn: async () => {
    const serve = async (request: Request) =>
      new Response(await Deno.readFile(join(published!, new URL(request.url).pathname.slice(7))));
    await withServer(serve, async (options) => {
      await fetchFiles(PUBLISHED_FILES, options);
      deepStrictEqual(await namesIn(options.outDir), [
        "test_simple.csv",
        "train_simple.csv",
        "val_simple.csv",
      ]);
    });
  },
});
