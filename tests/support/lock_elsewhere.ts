/**
 * A process that trains in a folder, as far as its lock tells.
 *
 * @module
 */

/** Has another process hold the lock of a folder. */
export async function lockElsewhere(dir: string): Promise<{ end(): Promise<void> }> {
  const module = new URL("../../training/folder/run_folder.ts", import.meta.url).href;
  const code = `const { lockRun } = await import("${module}");
    await lockRun(Deno.args[0]); console.log("locked"); await new Promise(() => setInterval(() => {}, 1e6));`;
  const script = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(script, code);
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const child = new Deno.Command("deno", {
    args: ["run", "--no-prompt", "--config", config, "--allow-read", "--allow-write", script, dir],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  return {
    async end() {
      child.kill("SIGKILL");
      await child.status;
      await reader.cancel();
      await Deno.remove(script);
    },
  };
}
