/**
 * Other programs' clients, pointed at this server.
 *
 * @module
 */
import { deepStrictEqual, strictEqual } from "node:assert";
import { fileURLToPath } from "node:url";
import { LABELS, LocalServer, TEXTS } from "./support/local_server.ts";

const CLIENTS = fileURLToPath(new URL("./clients", import.meta.url));

Deno.test("Hugging Face's client classifies texts, at both forms of endpointUrl", async () => {
  await using server = await LocalServer.start({ seeds: { titles: 1 } });
  await using http = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    server.app.fetch,
  );
  const url = `http://127.0.0.1:${http.addr.port}`;
  const { stdout, stderr, success } = await new Deno.Command("deno", {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--allow-net=127.0.0.1",
      "hugging_face.ts",
      url,
      TEXTS[0]!,
    ],
    cwd: CLIENTS,
  }).output();
  strictEqual(success, true, new TextDecoder().decode(stderr));
  const [byOption, byEndpoint, byModel, first] = JSON.parse(new TextDecoder().decode(stdout));
  deepStrictEqual(byOption.map(({ label }: { label: string }) => label).sort(), [...LABELS].sort());
  deepStrictEqual(byEndpoint, byOption);
  deepStrictEqual(byModel, byOption);
  deepStrictEqual(first, byOption.slice(0, 1));
});
