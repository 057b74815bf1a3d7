/**
 * Serves a model of random weights on a free port, for clients that are no part of this process;
 * prints the address. Requests need the key `secret`.
 *
 * @module
 */
import { apiKey } from "../../routes/access.ts";
import { LocalServer } from "./local_server.ts";

await using server = await LocalServer.start({
  seeds: { titles: 1 },
  apiKeys: [apiKey("owner", "secret")],
});
const http = Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => console.log(`http://127.0.0.1:${port}`),
}, server.app.fetch);
Deno.addSignalListener("SIGTERM", () => void http.shutdown());
await http.finished;
