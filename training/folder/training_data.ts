/**
 * The data of a run: a table is split for it, and its parts are kept beside the model.
 *
 * @module
 */
import { join } from "node:path";
import { type Columns, mappingOf, parseColumnMapping } from "../../data/columns.ts";
import { type Dataset, readDataset, writeDataset } from "../../data/dataset.ts";
import { findUnsplitData, splitForRun } from "../../data/preparation/unsplit_data.ts";
import { removeFolder } from "../../lib/files.ts";
import { UserError } from "../../lib/user_error.ts";
import type { TrainSettings } from "../settings.ts";
import { readOptions } from "./trained_on.ts";
import { KEPT_DATA_DIR } from "./training_args.ts";

/** Options of {@link readTrainingData}. */
export interface TrainingDataOptions {
  settings: TrainSettings;
  /** The run's folder. */
  outDir: string;
  columns?: Columns;
  /** Whether bad rows of a table that is to be split are left out. */
  skipBadRows?: boolean;
  /** Called with notes for the user on the table and its labels. */
  onNote: (note: string) => void;
}

/** Data that are ready to be trained on; a split that was made for the run is removed at the end. */
export interface TrainingData extends AsyncDisposable {
  dataset: Dataset;
  /** The given settings, except for how to read the files that {@link keepData} writes. */
  settings: TrainSettings;
  /** Writes the parts of a table into the run's folder. */
  keepData: () => Promise<void>;
}

/**
 * Reads the data of a run: a folder of files, or one table, which is split by text.
 *
 * @throws {UserError} If they cannot be read, as `readDataset` and `prepare` say.
 */
export async function readTrainingData(
  path: string,
  { settings, outDir, skipBadRows = false, onNote, ...options }: TrainingDataOptions,
): Promise<TrainingData> {
  const { problemType, columnMapping } = settings;
  const columns = options.columns ?? parseColumnMapping(columnMapping);
  const unsplit = await findUnsplitData(path);
  if (unsplit === undefined && skipBadRows) {
    throw new UserError(
      `Cannot use --skip-bad-rows with '${path}': it is split already; it is for one table`,
    );
  }
  await using leftovers = new AsyncDisposableStack();
  const temporaryDir = await Deno.makeTempDir();
  leftovers.defer(() => Deno.remove(temporaryDir, { recursive: true }));
  const rowsFile = join(temporaryDir, "rows");
  if (unsplit === undefined) {
    const options = { ...readOptions(settings), rowsFile, onNote };
    const dataset = await readDataset(path, problemType, columns, options);
    const temporary = leftovers.move();
    return {
      dataset,
      settings: { ...settings, columnMapping: mappingOf(columns) },
      keepData: () => Promise.resolve(),
      [Symbol.asyncDispose]: () => temporary.disposeAsync(),
    };
  }
  const dir = join(temporaryDir, "data");
  const split = await splitForRun(unsplit, dir, {
    settings: { ...readOptions(settings), problemType, skipBadRows },
    columns,
    rowsFile,
    onNote,
  });
  const kept = join(outDir, KEPT_DATA_DIR);
  const dataset = { ...split, dir: kept };
  const temporary = leftovers.move();
  return {
    dataset,
    // The parts are plain tables.
    settings: { ...settings, columnMapping: undefined, delimiter: undefined, encoding: undefined },
    keepData: async () => {
      await removeFolder(kept);
      await Deno.mkdir(kept, { recursive: true });
      for await (const { name } of Deno.readDir(dir)) {
        await Deno.copyFile(join(dir, name), join(kept, name));
      }
      await writeDataset(kept, split);
    },
    [Symbol.asyncDispose]: () => temporary.disposeAsync(),
  };
}
