/**
 * Bases that have no pooler, as those that learned to guess masked tokens alone.
 *
 * @module
 */
import { join } from "node:path";
import { isPoolerParameter, readConfig } from "../../models/family.ts";
import { decodeSafetensors, encodeSafetensors } from "../../models/formats/safetensors.ts";
import { WEIGHTS_FILE } from "../../models/formats/weight_files.ts";

/** Copies the files of a model, without the weights of its pooler. */
export async function copyWithoutPooler(from: string, to: string): Promise<void> {
  const config = await readConfig(from);
  for await (const { name, isFile } of Deno.readDir(from)) {
    if (isFile) await Deno.copyFile(join(from, name), join(to, name));
  }
  const file = join(to, WEIGHTS_FILE);
  const content = decodeSafetensors(await Deno.readFile(file), file);
  for (const name of content.tensors.keys()) {
    if (isPoolerParameter(config, name)) content.tensors.delete(name);
  }
  await Deno.writeFile(file, encodeSafetensors(content));
}
