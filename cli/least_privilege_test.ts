import { deepStrictEqual, ok } from "node:assert";
import { resolve } from "node:path";
import { servePermissions } from "./least_privilege.ts";

/** The values of each permission. */
function permissions(args: readonly string[]): Map<string, string[]> {
  const environment = { get: (name: string) => name === "HOME" ? "/home/me" : undefined };
  return new Map(
    servePermissions(args, environment).map((flag) => {
      const [, name, values] = /^--allow-(\w+)=?(.*)$/.exec(flag)!;
      return [name!, values!.split(",")];
    }),
  );
}

Deno.test("servePermissions() names the folders and the address of a server", () => {
  const own = permissions([]);
  deepStrictEqual(own.get("net"), ["127.0.0.1:8000", "127.0.0.1"]);
  const state = ["runs/state.kv", "runs/state.kv.lock"];
  deepStrictEqual(own.get("write"), ["runs", ...state].map((path) => resolve(path)));
  deepStrictEqual(own.get("run"), ["deno"]);

  const given = permissions(["--runs=/r", "--models", "/m", "--host", "::1", "--port", "0"]);
  deepStrictEqual(given.get("net"), ["[::1]", "127.0.0.1"]);
  deepStrictEqual(given.get("write"), ["/r", "/m", "/r/state.kv", "/r/state.kv.lock"]);
  for (const path of ["/r", "/m"]) ok(given.get("read")!.includes(path));
});

Deno.test("servePermissions() lets a server reach the hub where a base may come from it", () => {
  const folder = permissions(["--allow-base", "models/bundled"]);
  ok(!folder.get("net")!.some((host) => host.includes("huggingface")));
  ok(folder.get("read")!.includes(resolve("models/bundled")));
  const hub = permissions(["--allow-base", "someone/model"]);
  ok(hub.get("net")!.includes("huggingface.co"));
  ok(hub.get("write")!.includes("/home/me/.cache/huggingface/hub"));
});

Deno.test("servePermissions() names no path that Deno would take for two", () => {
  deepStrictEqual(permissions(["--runs", "/a,b"]).get("read"), [""]);
});
