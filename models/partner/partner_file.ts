/**
 * A partner's file, `partner.safetensors`, beside the network that it helps.
 *
 * @module
 */
import { join } from "node:path";
import { z } from "zod";
import { PROBLEM_TYPES } from "../../data/labels.ts";
import { removeFiles, writeFileAtomically } from "../../lib/files.ts";
import { UserError } from "../../lib/user_error.ts";
import type { PartnerAnswer } from "../inference/inference.ts";
import { decodeSafetensors, encodeSafetensors, type StoredTensor } from "../formats/safetensors.ts";
import { Partner } from "./partner.ts";

/** The file's name in a model's folder. */
export const PARTNER_FILE = "partner.safetensors";

/** A partner with the factors of its logits and the network's in their joint answer. */
export class PooledPartner {
  readonly partner: Partner;
  /** The factors of the network's logits and of the partner's. */
  readonly scales: { network: number; partner: number };

  /** @param scales The factors, each 0 or more. */
  constructor(partner: Partner, scales: { network: number; partner: number }) {
    this.partner = partner;
    this.scales = scales;
  }

  /** The amount that the partner adds to the network's logits for a text, or a pair of texts. */
  answer(text: string, pair?: string): PartnerAnswer {
    const logits = this.partner.logits(pair === undefined ? text : `${text} ${pair}`);
    return {
      logits: logits.map((logit) => this.scales.partner * logit),
      networkScale: this.scales.network,
    };
  }
}

const FORMAT = "graft-partner-1";

const Metadata = z.object({
  format: z.literal(FORMAT),
  problem_type: z.enum(PROBLEM_TYPES),
  characters: z.enum(["true", "false"]),
  network_scale: z.coerce.number().nonnegative(),
  partner_scale: z.coerce.number().nonnegative(),
});

/** Writes the partner of a network into the network's folder; without one, removes the file. */
export async function savePartner(
  dir: string,
  pooled: PooledPartner | undefined,
): Promise<void> {
  if (pooled === undefined) {
    await removeFiles(dir, [PARTNER_FILE]);
    return;
  }
  const { partner, scales } = pooled;
  const { problemType, labelCount, characters, hashes, idf, weights, bias } = partner.state;
  const bytes = encodeSafetensors({
    metadata: {
      format: FORMAT,
      problem_type: problemType,
      characters: String(characters),
      network_scale: String(scales.network),
      partner_scale: String(scales.partner),
    },
    tensors: new Map<string, StoredTensor>([
      // Readers of safetensors know signed integers; the bits are the same.
      ["hashes", { shape: [hashes.length], data: new Int32Array(hashes.buffer) }],
      ["idf", { shape: [idf.length], data: idf }],
      ["weights", { shape: [hashes.length, labelCount], data: weights }],
      ["bias", { shape: [labelCount], data: bias }],
    ]),
  });
  await writeFileAtomically(join(dir, PARTNER_FILE), bytes);
}

/**
 * Reads the partner in a network's folder.
 *
 * @param labelCount The number of the network's labels.
 * @returns `undefined` if there is none.
 * @throws {UserError} If the file is damaged, or belongs to a model of other labels.
 */
export async function loadPartner(
  dir: string,
  labelCount: number,
): Promise<PooledPartner | undefined> {
  const file = join(dir, PARTNER_FILE);
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  const { tensors, metadata } = decodeSafetensors(bytes, file);
  const fault = (rule: string) => new UserError(`Cannot read '${file}': ${rule}`);
  const parsed = Metadata.safeParse(metadata);
  if (!parsed.success) throw fault("its header does not describe a partner");
  const { problem_type, characters, network_scale, partner_scale } = parsed.data;

  const hashes = tensors.get("hashes")?.data;
  const features = hashes?.length;
  const numbers = (name: string, shape: readonly number[]) => {
    const tensor = tensors.get(name);
    if (tensor?.shape.join() !== shape.join() || !(tensor.data instanceof Float32Array)) {
      throw fault(`expected '${name}' as [${shape}], got [${tensor?.shape ?? "nothing"}]`);
    }
    if (!tensor.data.every(Number.isFinite)) {
      throw fault(`'${name}' has values that are no numbers`);
    }
    return tensor.data;
  };
  if (!(hashes instanceof Int32Array) || features === undefined) {
    throw fault("expected 'hashes' as 32-bit integers");
  }
  const partner = new Partner({
    problemType: problem_type,
    labelCount,
    characters: characters === "true",
    hashes: new Uint32Array(hashes.buffer),
    idf: numbers("idf", [features]),
    weights: numbers("weights", [features, labelCount]),
    bias: numbers("bias", [labelCount]),
  });
  return new PooledPartner(partner, { network: network_scale, partner: partner_scale });
}

/** The size of a folder's partner in bytes; 0 if there is none. */
export async function partnerSize(dir: string): Promise<number> {
  try {
    return (await Deno.stat(join(dir, PARTNER_FILE))).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}
