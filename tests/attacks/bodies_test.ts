/**
 * Bodies that are announced and do not arrive: they take up neither memory nor anybody's place.
 *
 * @module
 */
import { ok, strictEqual } from "node:assert";
import { join } from "node:path";
import { decodedBody } from "../../routes/body.ts";
import { writeModel } from "../support/local_server.ts";
import { AttackedServer, closeAll } from "./attacked_server.ts";

Deno.test("bodies that are promised take no memory and no place among the predictions", async () => {
  await using server = await AttackedServer.start(
    { options: ["--max-concurrent-requests", "8"] },
    (runsDir) => writeModel(join(runsDir, "titles"), 1),
  );
  const predict = async () => (await server.post("/predict", { inputs: "a duet" })).status;
  strictEqual(await predict(), 200);
  const before = await server.residentMb();
  const head = "POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1999999\r\n\r\n{";
  const connections = await server.connect(500, head);
  strictEqual(await predict(), 200);
  const grown = await server.residentMb() - before;
  ok(grown < 250, `${grown} MB for 500 bytes`);
  closeAll(connections);
  strictEqual(await predict(), 200);
});

Deno.test("a body with an endless trailer, of which Deno says nothing, has a deadline", async () => {
  const read = Promise.withResolvers<unknown>();
  const options = { hostname: "127.0.0.1", port: 0, onListen() {} };
  await using server = Deno.serve(options, async (request) => {
    const body = decodedBody(request, 100, "The body", 500);
    read.resolve(await Array.fromAsync(body).catch((error) => error.status));
    return new Response();
  });
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: server.addr.port });
  const head = "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  const request = `${head}2\r\n{}\r\n0\r\nX: ${"x".repeat(1_000_000)}\r\n\r\n`;
  const bytes = new TextEncoder().encode(request);
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
  strictEqual(await read.promise, 408);
});
