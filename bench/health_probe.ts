/**
 * A Worker that keeps asking a server for its health. The thread of the clients is too busy: it
 * would count its own delays as the server's. A question without a good answer took forever.
 *
 * @module
 */

const INTERVAL_MS = 50;
/** A message with an address starts it; an empty one ends it, and it answers with the times. */
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
    // A kept connection may end as it is used again.
    const isHealthy = await ask().catch(ask).catch(() => false);
    timesMs.push(isHealthy ? performance.now() - askedAt : Infinity);
    await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
  }
  (self as unknown as Worker).postMessage(timesMs.splice(0));
}

async function ask(): Promise<boolean> {
  const response = await fetch(url);
  await response.arrayBuffer();
  return response.ok;
}
