/**
 * `serve` as a process: its address, its claim on the folder, its end.
 *
 * @module
 */
import { deepStrictEqual, match, ok } from "node:assert";
import { join } from "node:path";
import { TASK } from "../support/graft.ts";
import { LocalHub } from "../support/local_hub.ts";
import { writeModel } from "../support/local_server.ts";
import { address } from "../support/server_process.ts";

function serve(runsDir: string, ...options: string[]): Deno.ChildProcess {
  return serveWith({}, runsDir, ...options);
}

/** Serves with these variables in its environment. */
function serveWith(
  env: Record<string, string>,
  runsDir: string,
  ...options: string[]
): Deno.ChildProcess {
  const command = ["serve", "--port", "0", "--runs", runsDir, ...options];
  return new Deno.Command("deno", {
    args: [...TASK, ...command],
    env: { NO_COLOR: "1", ...env },
    stdout: "null",
    stderr: "piped",
  }).spawn();
}

/** Waits until a server says that it can predict. */
async function untilReady(url: string): Promise<void> {
  while (true) {
    const response = await fetch(`${url}/health`);
    await response.body?.cancel();
    if (response.ok) return;
    deepStrictEqual(response.status, 503);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

Deno.test("serve owns its folder, and on SIGTERM ends its runs and itself", async () => {
  const runsDir = await Deno.makeTempDir();
  try {
    const server = serve(runsDir);
    const url = await address(server.stderr);
    deepStrictEqual(await (await fetch(`${url}/health/live`)).json(), { status: "ok" });
    await untilReady(url);

    const body = JSON.stringify({ dataset: "sample", threads: 1 });
    const { id } = await (await fetch(`${url}/v1/runs`, { method: "POST", body })).json();
    const events = await fetch(`${url}/v1/runs/${id}/events`);

    const second = await serve(runsDir).output();
    deepStrictEqual(second.code, 1);
    const message = new TextDecoder().decode(second.stderr);
    ok(
      message.startsWith(`error: Cannot serve '${runsDir}': the server at ${url} uses it;`),
      message,
    );
    const run = await (await fetch(`${url}/v1/runs/${id}`)).json();
    match(run.state, /^(queued|running)$/);

    // Twice, as a terminal and `deno task` deliver it.
    server.kill("SIGTERM");
    server.kill("SIGTERM");
    await events.text();
    deepStrictEqual((await server.status).code, 0);

    // Another server goes on with it.
    const next = serve(runsDir);
    const nextUrl = await address(next.stderr);
    const resumed = await (await fetch(`${nextUrl}/v1/runs/${id}`)).json();
    match(resumed.state, /^(queued|running)$/);
    await (await fetch(`${nextUrl}/v1/runs/${id}/cancel`, { method: "POST" })).body?.cancel();
    match(await (await fetch(`${nextUrl}/v1/runs/${id}/events`)).text(), /"state":"cancelled"/);
    next.kill("SIGTERM");
    deepStrictEqual((await next.status).code, 0);
  } finally {
    await Deno.remove(runsDir, { recursive: true });
  }
});

Deno.test("serve trains on a base of the hub that it allows", async () => {
  const runsDir = await Deno.makeTempDir();
  try {
    const base = join(runsDir, "base");
    await writeModel(base, 1);
    const names = ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"];
    await using hub = new LocalHub(
      names.map((name) => [name, Deno.readFileSync(join(base, name))]),
    );
    const env = {
      HF_ENDPOINT: hub.endpoint,
      HF_HUB_CACHE: join(runsDir, "cache"),
      HF_TOKEN: "",
      HF_HOME: "",
      HF_HUB_OFFLINE: "",
      XDG_CACHE_HOME: "",
      HOME: runsDir,
      USERPROFILE: "",
    };
    const server = serveWith(env, runsDir, "--allow-base", "tiny");
    const url = await address(server.stderr);
    const train = async (model: string) => {
      const settings = { dataset: "sample", max_steps: 2, max_train_samples: 32, threads: 1 };
      const body = JSON.stringify({ ...settings, model });
      return await (await fetch(`${url}/v1/runs`, { method: "POST", body })).json();
    };
    match((await train("acme/other")).error, /^'model': must be a model of the server or one of/);
    const { id } = await train("tiny");
    const events = await (await fetch(`${url}/v1/runs/${id}/events`)).text();
    match(events, /"state":"succeeded"/);
    ok(hub.requests.some(({ path }) => path.endsWith("/model.safetensors")));
    server.kill("SIGTERM");
    deepStrictEqual((await server.status).code, 0);
  } finally {
    await Deno.remove(runsDir, { recursive: true });
  }
});

Deno.test("serve answers every request that it took when SIGTERM comes", async () => {
  const runsDir = await Deno.makeTempDir();
  try {
    await writeModel(join(runsDir, "titles"), 1);
    const server = serve(runsDir, "--preload", "titles", "--device", "wasm");
    const url = await address(server.stderr);
    await untilReady(url);
    const { hostname, port } = new URL(url);
    const listener = { hostname, port: Number(port) };
    const body = JSON.stringify({ inputs: "a duet for two pianos" });
    const head = `POST /predict HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n` +
      `Content-Length: ${body.length}\r\n\r\n`;
    const encoder = new TextEncoder();
    const requests = await Promise.all(Array.from({ length: 16 }, async () => {
      const connection = await Deno.connect(listener);
      await connection.write(encoder.encode(head));
      const reader = connection.readable.pipeThrough(new TextDecoderStream()).getReader();
      // So says a server that has taken a request and reads its body.
      match((await reader.read()).value!, /^HTTP\/1.1 100 /);
      return { connection, reader };
    }));
    server.kill("SIGTERM");
    while (true) {
      const response = await fetch(`${url}/health`);
      await response.body?.cancel();
      if (response.status === 200) continue;
      deepStrictEqual(response.status, 503);
      deepStrictEqual(response.headers.get("Retry-After"), "1");
      break;
    }
    deepStrictEqual((await fetch(`${url}/health/live`)).status, 200);
    for (const { connection, reader } of requests) {
      await connection.write(encoder.encode(body));
      match((await reader.read()).value!, /^HTTP\/1.1 200 /);
      await reader.cancel();
    }
    deepStrictEqual((await server.status).code, 0);
  } finally {
    await Deno.remove(runsDir, { recursive: true });
  }
});

Deno.test("serve refuses a public address without a key, and a model to preload that is not there", async () => {
  const runsDir = await Deno.makeTempDir();
  try {
    await writeModel(join(runsDir, "broken"), 1);
    await Deno.writeTextFile(join(runsDir, "broken", "config.json"), "{");
    const taken = join(runsDir, "taken.kv");
    using lock = await Deno.open(`${taken}.lock`, { write: true, create: true });
    ok(await lock.tryLock(true));
    for (
      const [options, message] of [
        [
          ["--preload", "broken"],
          /Left '.+broken' out of the models: [^\n]+\nerror: Cannot preload 'broken': there is no/,
        ],
        [["--kv", taken], /^error: Cannot keep state in '.*taken.kv': another server uses it\n$/],
        [
          ["--host", "0.0.0.0"],
          /^error: Cannot listen on '0.0.0.0' without --api-key-file or GRAFT_API_KEY/,
        ],
        [["--preload", "none"], /error: Cannot preload 'none': there is no model/],
        [["--payload-limit", "2 parsecs"], /^error: .*--payload-limit/],
      ] as const
    ) {
      const { code, stderr } = await serve(runsDir, "--device", "wasm", ...options).output();
      deepStrictEqual(code, 1);
      match(new TextDecoder().decode(stderr), message);
    }
  } finally {
    await Deno.remove(runsDir, { recursive: true });
  }
});

Deno.test("serve ends when --drain-timeout is over, whatever is still to be answered", async () => {
  const runsDir = await Deno.makeTempDir();
  try {
    const server = serve(runsDir, "--drain-timeout", "0.5");
    const { hostname, port } = new URL(await address(server.stderr));
    // A request whose body never ends.
    using connection = await Deno.connect({ hostname, port: Number(port) });
    const head = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{";
    await connection.write(new TextEncoder().encode(head));
    await (await fetch(`http://${hostname}:${port}/health/live`)).body?.cancel();
    const startedAt = performance.now();
    server.kill("SIGTERM");
    deepStrictEqual((await server.status).code, 0);
    // Not before the time was up.
    ok(performance.now() - startedAt >= 500);
  } finally {
    await Deno.remove(runsDir, { recursive: true });
  }
});
