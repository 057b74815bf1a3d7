/**
 * Passes the command line to its command, and reports errors.
 *
 * @module
 */
import { Command, CommanderError } from "commander";
import { isSystemError } from "../lib/files.ts";
import { UserError } from "../lib/user_error.ts";
import { isDeviceError } from "../onnx/runtime/device.ts";
import { OutOfMemoryError } from "../onnx/runtime/device_memory.ts";
import { ExecutorEndedError } from "../onnx/runtime/executor.ts";
import { StateError } from "../orchestration/store.ts";

/** The commands, in the order of the help. Only the one that runs is loaded. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  train: async () => (await import("./train.ts")).trainCommand(),
  tune: async () => (await import("./tune.ts")).tuneCommand(),
  pretrain: async () => (await import("./pretrain.ts")).pretrainCommand(),
  eval: async () => (await import("./eval.ts")).evalCommand(),
  predict: async () => (await import("./predict.ts")).predictCommand(),
  export: async () => (await import("./export.ts")).exportCommand(),
  serve: async () => (await import("./serve.ts")).serveCommand(),
  runs: async () => (await import("./runs.ts")).runsCommand(),
  data: async () => (await import("./data.ts")).dataCommand(),
  bench: async () => (await import("./bench.ts")).benchCommand(),
  cluster: async () => (await import("./cluster.ts")).clusterCommand(),
  migrate: async () => (await import("./migrate.ts")).migrateCommand(),
  worker: async () => (await import("./worker.ts")).workerCommand(),
};

/**
 * Runs one command.
 *
 * @param args The words after `main.ts`.
 * @returns The exit code.
 */
export async function main(args: readonly string[]): Promise<number> {
  const program = new Command("graft")
    .description("Fine-tune BERT text classifiers and serve them, on Deno, with no Python.")
    .usage("<command> [options]");
  const [name = ""] = args;
  // The help lists all commands, and a mistyped name is compared with all of them.
  const loaders = Object.hasOwn(COMMANDS, name) ? [COMMANDS[name]!] : Object.values(COMMANDS);
  for (const load of loaders) program.addCommand(await load());
  for (
    const command of [
      program,
      ...program.commands,
      ...program.commands.flatMap((it) => it.commands),
    ]
  ) {
    // Commander would read environment variables to decide on colours. Its help is also wrapped on
    // a narrow terminal, even beside options with long names.
    command.exitOverride().configureHelp({ minWidthToWrap: 20 }).configureOutput({
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
  }
  try {
    await program.parseAsync(args, { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode;
    if (error instanceof UserError || error instanceof StateError || isDeviceError(error)) {
      console.error(`error: ${error.message}`);
    } else if (error instanceof OutOfMemoryError || error instanceof ExecutorEndedError) {
      console.error(
        `error: Cannot go on: ${error.message}; fewer or shorter texts at a time, --dtype q8, a ` +
          "smaller model or another --device need less",
      );
    } else if (error instanceof Deno.errors.NotCapable) {
      console.error(
        `error: Cannot go on: ${error.message.replace(/, run again .*/, "")}, and a task may use ` +
          "only what its arguments name; name it, or start main.ts by 'deno run' with permissions",
      );
    } else if (isSystemError(error)) console.error(`error: ${error.message}`);
    else console.error(error);
    return 1;
  }
}
