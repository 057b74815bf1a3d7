/**
 * Graft's routes inside an application of one's own, here below `/graft`; the permissions are
 * `deno run --allow-read --allow-write=runs --allow-net=127.0.0.1 examples/mount.ts runs`. It has no keys, so that it answers this machine alone.
 *
 * @module
 */
import { createApp } from "@graft/graft";
import { Hono } from "hono";

const [runsDir = "runs", port = "8000"] = Deno.args;
await using graft = await createApp({ runsDir, workers: 0, page: false, loopbackOnly: true });
const app = new Hono()
  .get("/", (context) => context.text("Texts are classified at /graft/v1/predict"))
  .route("/graft", graft.app);
await graft.ready;
const server = Deno.serve({ port: Number(port), hostname: "127.0.0.1" }, app.fetch);
const stop = () => void server.shutdown();
Deno.addSignalListener("SIGTERM", stop);
await server.finished;
Deno.removeSignalListener("SIGTERM", stop);
