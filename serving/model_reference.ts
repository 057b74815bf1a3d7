/**
 * References to models in requests: names, versions and aliases, and the version that each stands
 * for.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { basename } from "node:path";
import { listOf } from "../lib/format.ts";
import type { WeightedVersion } from "./model_store.ts";

/** The alias of the model that answers requests that name none; only one model has it at a time. */
export const DEFAULT_ALIAS = "default";

/**
 * The alias that a name alone stands for. It is set when a second version appears, to the version
 * that answered until then: a new version takes over the requests only if that was asked for.
 */
export const CURRENT_ALIAS = "current";

/** A name that belongs to no model, version or alias. */
export class UnknownModelError extends Error {
  override name = "UnknownModelError";
}

/** A model in one state of its training. */
export interface ModelVersion {
  name: string;
  /** Counted from 1. */
  version: number;
  dir: string;
  finishedAt: Date;
}

/** A model with its versions and aliases. */
export interface Model {
  name: string;
  /** The versions, the oldest first; there is at least one. */
  versions: ModelVersion[];
  aliases: Map<string, WeightedVersion[]>;
}

/** The most models that an error names. */
const NAMED_MODELS = 10;

/** The versions that share the requests for a model's name alone. */
export function currentVersions({ aliases, versions }: Model): WeightedVersion[] {
  return aliases.get(CURRENT_ALIAS) ?? [{ version: versions.at(-1)!.version, weight: 1 }];
}

/**
 * The version that a reference stands for.
 *
 * @param models The models by name.
 * @param reference A name, which stands for its alias {@link CURRENT_ALIAS} or, without that, for
 * its newest version; `name@version`, `name:alias` or a run's id. Without a reference, the alias
 * {@link DEFAULT_ALIAS}, or the only model if there is just one.
 * @param key Requests with the same key get the same version of an alias that divides them.
 * @throws {UnknownModelError} If there is none.
 */
export function resolveReference(
  models: ReadonlyMap<string, Model>,
  reference: string | undefined,
  key?: string,
): ModelVersion {
  if (reference === undefined) return defaultVersion(models, key);
  const model = models.get(reference);
  if (model !== undefined) {
    return versionOf(model, choose(currentVersions(model), `${reference}:${CURRENT_ALIAS}`, key));
  }
  const [, name, sign, rest] = /^(.+)([@:])([^@:]+)$/.exec(reference) ?? [];
  if (name === undefined) return versionOfRun(models, reference);
  const owner = modelOf(models, name);
  if (sign === "@") return versionOf(owner, /^[1-9]\d*$/.test(rest!) ? Number(rest) : undefined);
  const versions = owner.aliases.get(rest!);
  if (versions !== undefined) return versionOf(owner, choose(versions, reference, key));
  throw new UnknownModelError(`model '${name}' has no alias '${rest}'`);
}

/**
 * The model of a name.
 *
 * @throws {UnknownModelError} If there is none.
 */
export function modelOf(models: ReadonlyMap<string, Model>, name: string): Model {
  const model = models.get(name);
  if (model === undefined) throw unknownModel(models, name);
  return model;
}

function unknownModel(models: ReadonlyMap<string, Model>, name: string): UnknownModelError {
  const known = listOf([...models.keys()].map((name) => `'${name}'`), NAMED_MODELS);
  const others = known === "" ? "" : `; there are ${known}`;
  return new UnknownModelError(`there is no model '${name}'${others}`);
}

function defaultVersion(models: ReadonlyMap<string, Model>, key: string | undefined): ModelVersion {
  const [first, ...others] = models.values();
  if (first === undefined) throw new UnknownModelError("there is no trained model yet");
  const chosen = models.values().find(({ aliases }) => aliases.has(DEFAULT_ALIAS));
  if (chosen !== undefined) return resolveReference(models, `${chosen.name}:${DEFAULT_ALIAS}`, key);
  if (others.length === 0) return resolveReference(models, first.name, key);
  const known = listOf([...models.keys()].map((name) => `'${name}'`), NAMED_MODELS);
  throw new UnknownModelError(
    `one of ${known} must be named, or have the alias '${DEFAULT_ALIAS}'`,
  );
}

/** The version of a run's id, which is the name of its folder, even if the run has a name. */
function versionOfRun(models: ReadonlyMap<string, Model>, id: string): ModelVersion {
  for (const { versions } of models.values()) {
    const found = versions.find(({ dir }) => basename(dir) === id);
    if (found !== undefined) return found;
  }
  throw unknownModel(models, id);
}

/**
 * The version of a model with a number.
 *
 * @throws {UnknownModelError} If there is none.
 */
export function versionOf({ name, versions }: Model, number: number | undefined): ModelVersion {
  const found = versions.find(({ version }) => version === number);
  if (found !== undefined) return found;
  const known = versions.map(({ version }) => version).join(", ");
  throw new UnknownModelError(`model '${name}' has no such version; it has ${known}`);
}

/** Divides requests among versions: a key always gets the same version while the weights stay. */
function choose(versions: readonly WeightedVersion[], alias: string, key?: string): number {
  const share = key === undefined
    ? Math.random()
    : createHash("sha256").update(`${alias} ${key}`).digest().readUInt32BE() / 2 ** 32;
  const total = versions.reduce((sum, { weight }) => sum + weight, 0);
  let rest = share * total;
  for (const { version, weight } of versions) {
    if (rest < weight) return version;
    rest -= weight;
  }
  return versions.findLast(({ weight }) => weight > 0)!.version;
}
