/**
 * The hosts, the names and the cache of the Hugging Face hub. It imports little, as processes that
 * only start others use it.
 *
 * @module
 */
import { join } from "node:path";
import { UserError } from "../lib/user_error.ts";
import { BUNDLED_MODEL } from "./own_models.ts";

/** The hosts that models are downloaded from, as Deno's permissions name them. */
export const HUB_HOSTS = ["huggingface.co", "*.huggingface.co", "*.hf.co"];

/** The environment variables that say where models of the hub are. */
export const HUB_VARIABLES: readonly string[] = [
  "HF_ENDPOINT",
  "HF_TOKEN",
  "HF_HOME",
  "HF_HUB_CACHE",
  "HF_HUB_OFFLINE",
  "XDG_CACHE_HOME",
  "HOME",
  "USERPROFILE",
];

/** `name` or `owner/name`, and perhaps `@revision`; never a path that is absolute or leads upwards. */
export const HUB_NAME =
  /^(?![^@]*--)(?!.*\.\.)(?<id>\w[\w.-]*(?:\/\w[\w.-]*)?)(?:@(?<revision>\w(?:[\w./-]*\w)?))?$/;

/** Whether a name may be that of a model on the hub; a folder may also be called so. */
export function isHubName(model: string): boolean {
  return model !== BUNDLED_MODEL && HUB_NAME.test(model);
}

/**
 * The folder in which `huggingface_hub` keeps models.
 *
 * @throws {UserError} If the environment does not determine it.
 */
export function cacheDirOf(environment: { get(name: string): string | undefined }): string {
  const get = (name: string) => environment.get(name) || undefined;
  const given = get("HF_HUB_CACHE");
  if (given !== undefined) return given;
  const hfHome = get("HF_HOME");
  if (hfHome !== undefined) return join(hfHome, "hub");
  const xdgCacheHome = get("XDG_CACHE_HOME");
  if (xdgCacheHome !== undefined) return join(xdgCacheHome, "huggingface", "hub");
  const home = get("HOME") ?? get("USERPROFILE");
  if (home !== undefined) return join(home, ".cache", "huggingface", "hub");
  throw new UserError("Cannot tell where to keep downloads: set HF_HOME to a folder");
}
