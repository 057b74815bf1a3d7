/**
 * A Worker that asks a server for its health again and again: the clients' own thread is busy with
 * theirs, and would take its own delays for the server's.
 *
 * @module
 */

const INTERVAL_MS = 50;
/** A message with an address starts it, an empty one ends it; it answers with the times. */
let url = "";
const timesMs: number[] = [];

addEventListener("message", (event) => {
  const { data } = event as MessageEvent<string>;
  const isStart = url === "" && data !== "";
  url = data;
  if (isStart) void probe();
});

async function probe(): Promise<void> {
  while (url !== "") {
    const askedAt = performance.now();
    await (await fetch(url)).arrayBuffer();
    timesMs.push(performance.now() - askedAt);
    await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
  }
  (self as unknown as Worker).postMessage(timesMs.splice(0));
}
