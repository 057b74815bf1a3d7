/**
 * The model that a request names.
 *
 * @module
 */
import {
  type LoadedModel,
  type ModelRegistry,
  UnknownModelError,
} from "../serving/model_registry.ts";
import { invalidField } from "./errors.ts";

/**
 * Loads the model that a request's field `model` names.
 *
 * @throws {HTTPException} 422 if there is no such model.
 */
export async function loadedModel(
  models: ModelRegistry,
  name: string | undefined,
): Promise<LoadedModel> {
  try {
    return await models.get(name);
  } catch (error) {
    if (error instanceof UnknownModelError) throw invalidField("model", error.message);
    throw error;
  }
}
