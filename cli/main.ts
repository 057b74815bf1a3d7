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
import { benchCommand } from "./bench.ts";
import { clusterCommand } from "./cluster.ts";
import { dataCommand } from "./data.ts";
import { evalCommand } from "./eval.ts";
import { exportCommand } from "./export.ts";
import { migrateCommand } from "./migrate.ts";
import { predictCommand } from "./predict.ts";
import { pretrainCommand } from "./pretrain.ts";
import { runsCommand } from "./runs.ts";
import { serveCommand } from "./serve.ts";
import { trainCommand } from "./train.ts";
import { tuneCommand } from "./tune.ts";
import { workerCommand } from "./worker.ts";

/**
 * Runs one command.
 *
 * @param args The words after `main.ts`.
 * @returns The exit code.
 */
export async function main(args: readonly string[]): Promise<number> {
  const program = new Command("graft")
    .description("Fine-tune BERT text classifiers and serve them, on Deno, with no Python.")
    .usage("<command> [options]")
    .addCommand(trainCommand())
    .addCommand(tuneCommand())
    .addCommand(pretrainCommand())
    .addCommand(evalCommand())
    .addCommand(predictCommand())
    .addCommand(exportCommand())
    .addCommand(serveCommand())
    .addCommand(runsCommand())
    .addCommand(dataCommand())
    .addCommand(benchCommand())
    .addCommand(clusterCommand())
    .addCommand(migrateCommand())
    .addCommand(workerCommand());
  for (
    const command of [
      program,
      ...program.commands,
      ...program.commands.flatMap((it) => it.commands),
    ]
  ) {
    // Commander would read environment variables to decide on colours.
    command.exitOverride().configureOutput({
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
  }
  try {
    await program.parseAsync(args, { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode;
    if (error instanceof UserError || isDeviceError(error)) {
      console.error(`error: ${error.message}`);
    } else if (error instanceof OutOfMemoryError || error instanceof ExecutorEndedError) {
      console.error(
        `error: Cannot go on: ${error.message}; fewer or shorter texts at a time, --dtype q8, a ` +
          "smaller model or another --device need less",
      );
    } else if (isSystemError(error)) console.error(`error: ${error.message}`);
    else console.error(error);
    return 1;
  }
}
