/**
 * The files of PEFT in an adapter's folder.
 *
 * @module
 */

/** The file that describes an adapter and names its base. */
export const ADAPTER_CONFIG_FILE = "adapter_config.json";

/** The file of an adapter's parameters. */
export const ADAPTER_WEIGHTS_FILE = "adapter_model.safetensors";
