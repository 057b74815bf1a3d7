import { deepStrictEqual, strictEqual, throws } from "node:assert";
import { connectionsPossible, HttpServer, type RequestHandler } from "./http_server.ts";

function listen(
  handler: RequestHandler,
  options: { maxConnections?: number; idleTimeoutMs?: number } = {},
): HttpServer {
  return HttpServer.listen({
    hostname: "127.0.0.1",
    port: 0,
    maxConnections: 4,
    ...options,
  }, handler);
}

/** Connections that have sent some text. */
async function connect({ address }: HttpServer, count: number, text = ""): Promise<Deno.Conn[]> {
  return await Promise.all(Array.from({ length: count }, async () => {
    const connection = await Deno.connect({ hostname: address.hostname, port: address.port });
    await connection.write(new TextEncoder().encode(text)).catch(() => {});
    return connection;
  }));
}

/** Waits for the server to close a connection, and closes it here. */
async function ended(connection: Deno.Conn): Promise<string> {
  return await new Response(connection.readable).text().catch(() => "reset");
}

function ask({ address }: HttpServer, path = "/", init: RequestInit = {}): Promise<Response> {
  return fetch(`http://127.0.0.1:${address.port}${path}`, init);
}

Deno.test("HttpServer carries requests and answers of any size, several on a connection", async () => {
  await using server = listen(async (request) => new Response(await request.arrayBuffer()));
  for (const size of [0, 1, 20_000, 3_000_000]) {
    const body = crypto.getRandomValues(new Uint8Array(Math.min(size, 65_536)));
    const whole = new Uint8Array(size).map((_, i) => body[i % body.length]!);
    const answer = await ask(server, "/", { method: "POST", body: whole });
    deepStrictEqual(new Uint8Array(await answer.arrayBuffer()), whole);
  }
});

Deno.test("HttpServer makes room for a connection by closing the one that was silent longest", async () => {
  await using server = listen(() => new Response("here"));
  const [first] = await connect(server, 1);
  const others = await connect(server, 3);
  strictEqual(await (await ask(server)).text(), "here");
  strictEqual(await ended(first!), "");
  for (const connection of others) connection.close();
});

Deno.test("HttpServer closes no connection whose request it answers", async () => {
  const { promise: opened, resolve: open } = Promise.withResolvers<void>();
  await using server = listen(async (request, { bodyReceived }) => {
    await request.text();
    bodyReceived();
    await opened;
    return new Response("here");
  });
  const answers = [ask(server), ask(server, "/", { method: "POST", body: "text" })];
  const idle = await connect(server, 20);
  setTimeout(open, 500);
  for (const answer of answers) strictEqual(await (await answer).text(), "here");
  for (const connection of idle) connection.close();
});

Deno.test("HttpServer waits for room where every connection is being answered", async () => {
  const { promise: opened, resolve: open } = Promise.withResolvers<void>();
  await using server = listen(async () => {
    await opened;
    return new Response("here");
  }, { maxConnections: 1 });
  const answers = [ask(server), ask(server), ask(server)];
  setTimeout(open, 50);
  for (const answer of answers) strictEqual(await (await answer).text(), "here");
});

Deno.test("HttpServer closes connections whose clients say nothing for long", async () => {
  await using server = listen(() => new Response("here"), { idleTimeoutMs: 100 });
  const head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1";
  const connections = [...await connect(server, 1), ...await connect(server, 1, "GET / HT")];
  for (const connection of connections) strictEqual(await ended(connection), "");
  const [late] = await connect(server, 1, head);
  await ended(late!);
});

Deno.test("HttpServer.shutdown() lets answers end and closes what waits", async () => {
  const { promise: opened, resolve: open } = Promise.withResolvers<void>();
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  const server = listen(async () => {
    begin();
    await opened;
    return new Response("here");
  });
  const [idle] = await connect(server, 1);
  const answer = ask(server);
  await begun;
  const ending = server.shutdown();
  open();
  strictEqual(await (await answer).text(), "here");
  await ending;
  strictEqual(await ended(idle!), "");
  await server.finished;
});

Deno.test("HttpServer.abort() ends at once", async () => {
  const server = listen(() => new Promise(() => {}));
  const [connection] = await connect(server, 1, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  server.abort();
  await ended(connection!);
  await server.finished;
});

Deno.test("HttpServer.listen() refuses a port that is in use", async () => {
  await using server = listen(() => new Response());
  const { port } = server.address;
  const options = { hostname: "127.0.0.1", port, maxConnections: 1 };
  throws(
    () => HttpServer.listen(options, () => new Response()),
    /^UserError: Cannot listen on 127\.0\.0\.1 port \d+: it is in use; --port takes another, .*$/,
  );
});

Deno.test("connectionsPossible() gives no more than it is asked for, and leaves no file open", () => {
  for (let i = 0; i < 3; i++) strictEqual(connectionsPossible(import.meta.filename!, 2), 2);
});
