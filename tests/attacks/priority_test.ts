/**
 * The priority of the processes that train: requests come first.
 *
 * @module
 */
import { ok } from "node:assert";
import { AttackedServer, pause } from "./attacked_server.ts";

async function output(command: string): Promise<string[]> {
  const { stdout } = await new Deno.Command("sh", { args: ["-c", command] }).output();
  return new TextDecoder().decode(stdout).trim().split(/\s+/);
}

Deno.test("the threads of a process that trains have a low priority", async () => {
  await using server = await AttackedServer.start();
  await server.post("/v1/runs", { dataset: "sample", model: "scratch:tiny", epochs: 1000 });
  const child = `$(ps -o pid= --ppid ${server.process.pid} | head -1)`;
  let threads: string[] = [];
  // Deno starts with a few; with the model's they are more.
  while (threads.length < 8) {
    await pause(100);
    threads = await output(`ps -L -o ni= -p ${child}`);
  }
  // On a busy machine one may be there before the server comes to it.
  const others = threads.filter((nice) => nice !== "19");
  ok(others.length <= threads.length / 4, threads.join());
});
