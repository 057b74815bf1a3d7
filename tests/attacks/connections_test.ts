/**
 * Connections without a complete request: they neither keep others out nor end the server.
 *
 * @module
 */
import { strictEqual } from "node:assert";
import { join } from "node:path";
import { writeModel } from "../support/local_server.ts";
import { AttackedServer, closeAll } from "./attacked_server.ts";

const HEAD = "POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\n";

Deno.test("connections beyond the limit of descriptors neither end nor stop a server", async () => {
  await using server = await AttackedServer.start(
    { before: "ulimit -n 256" },
    (runsDir) => writeModel(join(runsDir, "titles"), 1),
  );
  for (
    const text of [
      "",
      "GET /health HTT",
      HEAD,
      `${HEAD}Content-Length: 100\r\n\r\n{"inputs`,
      `${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\n{"inp`,
      "GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    ]
  ) {
    const connections = await server.connect(300, text);
    strictEqual(await server.status("/health"), 200, text);
    strictEqual((await server.post("/predict", { inputs: "a duet" })).status, 200, text);
    closeAll(connections);
  }
});
