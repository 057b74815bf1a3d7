/**
 * Downloads files whose content is known.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { SPLIT_FILES } from "../dataset.ts";
import { exists } from "../../lib/files.ts";
import { IdleTimer } from "../../lib/idle_timer.ts";
import { UserError } from "../../lib/user_error.ts";

/** A file with its size and hash. */
export interface KnownFile {
  name: string;
  bytes: number;
  sha256: string;
}

/** The published splits, in their authors' repository. */
export const PUBLISHED_URL = "https://raw.githubusercontent.com/yihan-zhou/" +
  "bert-classification-tuning/5b46f99bc9040bbec665469a21038cf3207c23d8/csv/";

/** The files of the published splits. */
export const PUBLISHED_FILES: readonly KnownFile[] = [
  {
    name: SPLIT_FILES.train,
    bytes: 613_733,
    sha256: "79ddb90874fefe8d70bb68afc81a13f4d6c42ce975abdbc5dfd95646455b2ce3",
  },
  {
    name: SPLIT_FILES.validation,
    bytes: 67_113,
    sha256: "175050e2d1a08ed9442130d8ae540b9c7898cd3942cfc915a9cb5da287143690",
  },
  {
    name: SPLIT_FILES.test,
    bytes: 275_675,
    sha256: "d4b6d3a5bf47860fb95662741659a559e22f62065cd7bb9dc91f6a931b44b10e",
  },
];

/** Settings of {@link fetchFiles}. */
export interface FetchOptions {
  /** The address of the folder that holds the files. */
  from: string;
  outDir: string;
  /** Called as a file grows. */
  onProgress?: (file: KnownFile, bytes: number) => void;
  /** The longest silence of a server; 30 seconds by default. */
  idleTimeoutMs?: number;
}

/**
 * Downloads files, each aside until it is whole and its SHA-256 is right. Interrupted downloads are
 * resumed if the server can do that; files that exist are kept.
 *
 * @throws {UserError} If the address is no URL, or a file cannot be fetched or has another content.
 */
export async function fetchFiles(
  files: readonly KnownFile[],
  options: FetchOptions,
): Promise<void> {
  const { from, outDir, onProgress = () => {} } = options;
  if (!URL.canParse(from)) throw new UserError(`Cannot fetch from '${from}': it is not a URL`);
  await Deno.mkdir(outDir, { recursive: true });
  for (const file of files) {
    const path = join(outDir, file.name);
    const url = new URL(file.name, from.endsWith("/") ? from : `${from}/`);
    if (await exists(path) && await sha256Of(path) === file.sha256) {
      onProgress(file, file.bytes);
      continue;
    }
    const partial = `${path}.partial`;
    await download(url, partial, file, options);
    const sha256 = await sha256Of(partial);
    if (sha256 !== file.sha256) {
      await Deno.remove(partial);
      throw new UserError(`Cannot use '${url}': expected SHA-256 ${file.sha256}, got ${sha256}`);
    }
    await Deno.rename(partial, path);
  }
}

/** Downloads the rest of a partial file. */
async function download(
  url: URL,
  partial: string,
  file: KnownFile,
  { onProgress = () => {}, idleTimeoutMs = 30_000 }: FetchOptions,
): Promise<void> {
  const cannot = (rule: string) => new UserError(`Cannot fetch '${url}': ${rule}`);
  const there = await exists(partial) ? (await Deno.stat(partial)).size : 0;
  if (there === file.bytes) return;
  const start = there < file.bytes ? there : 0;

  using idle = new IdleTimer(idleTimeoutMs);
  let size = start;
  try {
    // Ranges count the bytes sent, so these must be the file's own.
    const headers: Record<string, string> = { "accept-encoding": "identity" };
    if (start > 0) headers["range"] = `bytes=${start}-`;
    const response = await fetch(url, { headers, signal: idle.signal });
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      throw cannot(`the server answered ${response.status} ${response.statusText}`.trimEnd());
    }
    const goesOn = response.status === 206 &&
      response.headers.get("content-range")?.startsWith(`bytes ${start}-`) === true;
    size = goesOn ? start : 0;
    using output = await Deno.open(partial, { write: true, create: true, truncate: !goesOn });
    await output.seek(0, Deno.SeekMode.End);
    for await (const chunk of response.body) {
      idle.restart();
      size += chunk.length;
      if (size > file.bytes) break;
      for (let written = 0; written < chunk.length;) {
        written += await output.write(chunk.subarray(written));
      }
      onProgress(file, size);
    }
    await output.sync();
  } catch (error) {
    if (error instanceof UserError) throw error;
    if (idle.signal.aborted) throw cannot(`${idle.message}; ${RESUME}`);
    if (error instanceof TypeError) throw cannot(`the connection failed; ${RESUME}`);
    throw error;
  }
  if (size === file.bytes) return;
  if (size < file.bytes) {
    throw cannot(`the connection ended after ${size} of ${file.bytes} bytes; ${RESUME}`);
  }
  await Deno.remove(partial);
  throw cannot(`it is longer than the ${file.bytes} bytes that it must have`);
}

const RESUME = "the same command goes on where it stopped";

async function sha256Of(path: string): Promise<string> {
  const digest = createHash("sha256");
  using file = await Deno.open(path);
  for await (const chunk of file.readable) digest.update(chunk);
  return digest.digest("hex");
}
