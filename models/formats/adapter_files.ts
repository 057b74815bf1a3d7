/**
 * The files of PEFT in an adapter's folder.
 *
 * @module
 */

/** Says what was tuned, and on which base. */
export const ADAPTER_CONFIG_FILE = "adapter_config.json";

/** Holds what was tuned. */
export const ADAPTER_WEIGHTS_FILE = "adapter_model.safetensors";
