/**
 * Large and simultaneous uploads of data sets: they take none of the server's memory, and no more
 * of the disk than allowed.
 *
 * @module
 */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { LocalServer } from "../support/local_server.ts";
import { AttackedServer, pause } from "./attacked_server.ts";

const ROWS = Array.from({ length: 60 }, (_, i) => {
  const words = Array.from({ length: 100 }, () => crypto.randomUUID().slice(0, 8));
  return `${words.join(" ")},${i % 2}\n`;
});
const RAW = `text,label\n${ROWS.join("")}`;

/** The bytes of a form whose file repeats the same content. */
async function* form(boundary: string, times: number): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  const part = (name: string) =>
    encoder.encode(
      `\r\n--${boundary}\r\nContent-Disposition: form-data; name="${name}"; filename="x"\r\n` +
        "Content-Type: text/csv\r\n\r\n",
    );
  yield part("train");
  // The file lacks a column, so that the rest of it need not be read.
  yield encoder.encode("text,number\n");
  const block = encoder.encode("word,a\n".repeat(10_000));
  for (let i = 0; i < times; i++) yield block;
  for (const side of ["validation", "test"]) {
    yield part(side);
    yield encoder.encode("text,label\nword,a\n");
  }
  yield encoder.encode(`\r\n--${boundary}--\r\n`);
}

Deno.test("a large form goes to the disk and not into memory", async () => {
  await using server = await AttackedServer.start();
  const before = await server.residentMb();
  let most = before;
  let isOver = false;
  const watch = async () => {
    for (; !isOver; await pause(200)) most = Math.max(most, await server.residentMb());
  };
  const watching = watch();
  const response = await fetch(`${server.url}/v1/datasets?name=large`, {
    method: "POST",
    headers: { "Content-Type": "multipart/form-data; boundary=limit" },
    // 105 MB
    body: ReadableStream.from(form("limit", 1500)),
  });
  isOver = true;
  await watching;
  const { error } = await response.json();
  strictEqual(response.status, 422, error);
  match(error, /label/);
  ok(most - before < 300, `${most - before} MB`);
});

Deno.test("uploads of the same moment share the budget of the disk", async () => {
  await using server = await LocalServer.start({ diskBudgetBytes: 2.5 * RAW.length });
  const statuses = await Promise.all(Array.from({ length: 8 }, async (_, i) => {
    const response = await server.app.request(`/v1/datasets?name=set${i}`, {
      method: "POST",
      body: RAW,
      // One upload declares its length, the other does not.
      headers: {
        "Content-Type": "text/csv",
        ...i % 2 === 0 && { "Content-Length": String(RAW.length) },
      },
    });
    await response.body?.cancel();
    return response.status;
  }));
  const counts = Map.groupBy(statuses, (status) => status);
  deepStrictEqual([...counts.keys()].sort(), [201, 507]);
  ok(counts.get(201)!.length <= 2);
  const { total_bytes } = await (await server.app.request("/v1/storage")).json();
  ok(total_bytes <= 2.5 * RAW.length, `${total_bytes}`);
  // Refused uploads leave no files, and reserve no room.
  for (const { name } of (await (await server.app.request("/v1/datasets")).json()).datasets) {
    if (name !== "sample") await server.app.request(`/v1/datasets/${name}`, { method: "DELETE" });
  }
  const again = await server.app.request("/v1/datasets?name=again", { method: "POST", body: RAW });
  strictEqual(again.status, 201, await again.text());
});

Deno.test("a data set's name is a folder's name on every system", async () => {
  await using server = await LocalServer.start();
  const csv = Array.from({ length: 30 }, (_, i) => `text ${i},${i % 2}`).join("\n");
  const upload = async (name: string) => {
    const init = {
      method: "POST",
      body: `text,label\n${csv}\n`,
      headers: { "Content-Type": "text/csv" },
    };
    const response = await server.app.request(`/v1/datasets?name=${name}`, init);
    await response.body?.cancel();
    return response.status;
  };
  for (const name of ["CON", "nul.txt", "Com1", "lpt9.a.b", "ends.", "..", ".hidden", "a/b"]) {
    strictEqual(await upload(name), 422, name);
  }
  strictEqual(await upload("Tickets"), 201);
  strictEqual(await upload("tickets"), 409);
  strictEqual(await upload("console"), 201);
});
