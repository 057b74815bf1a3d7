import { deepStrictEqual, rejects } from "node:assert/strict";
import { PeerProcess } from "./peer_process.ts";

const VERSIONS = `console.log('{"versions": {"peer": "1.2.3"}}');`;

function program(code: string) {
  return { command: "deno", args: ["eval", code] } as const;
}

Deno.test("PeerProcess measures a round whenever it is asked to", async () => {
  await using peer = await PeerProcess.start<number[]>(program(`${VERSIONS}
    let round = 0;
    for await (const _ of Deno.stdin.readable) console.log("[" + ++round + ", 5]");
  `));
  deepStrictEqual(peer!.versions, { peer: "1.2.3" });
  deepStrictEqual(await peer!.round(), [1, 5]);
  deepStrictEqual(await peer!.round(), [2, 5]);
});

Deno.test("PeerProcess.start gives nothing if packages are missing", async () => {
  const peer = await PeerProcess.start(program(`console.log('{"missing": ["peer"]}')`));
  deepStrictEqual(peer, undefined);
});

Deno.test("PeerProcess throws if the peer ends instead of measuring", async () => {
  await rejects(PeerProcess.start(program("")), /^Error: The peer ended before it had measured/);
  await using peer = await PeerProcess.start(program(VERSIONS));
  await rejects(peer!.round());
});
