/**
 * `GET /v1/storage`: the disk space of the server's files.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { HTTPException } from "hono/http-exception";
import { z } from "zod";
import { type DatasetLibrary, SAMPLE } from "../data/dataset_library.ts";
import { folderBytes } from "../orchestration/attempts.ts";
import type { RunStore } from "../orchestration/run_store.ts";
import type { Supervisor } from "../orchestration/supervisor.ts";
import { createRouter, declareRoute, jsonContent } from "./router.ts";

const Storage = z.object({
  runs: z.array(
    z.object({ id: z.string(), name: z.string(), bytes: z.int() }).meta({ id: "RunStorage" }),
  ),
  datasets: z.array(
    z.object({ name: z.string(), bytes: z.int() }).meta({ id: "DatasetStorage" }),
  ),
  total_bytes: z.int(),
  budget_bytes: z.int().nullable(),
}).meta({ id: "Storage" });

const route = declareRoute({
  method: "get",
  path: "/v1/storage",
  operationId: "getStorage",
  scope: "manage",
  tags: ["storage"],
  summary: "The disk space that runs and data sets take",
  responses: { 200: jsonContent(Storage, "Bytes by run and data set, the largest first") },
});

/** Options of {@link storageRoutes}. */
export interface StorageOptions {
  store: RunStore;
  supervisor: Supervisor;
  datasets: DatasetLibrary;
  /** The most bytes that runs and data sets may take before more are refused. */
  diskBudgetBytes?: number | undefined;
}

/** The route. */
export function storageRoutes(options: StorageOptions): OpenAPIHono {
  return createRouter().openapi(
    route,
    async (context) => context.json(await storage(options), 200),
  );
}

/** Reserved disk space. */
export interface ReservedRoom extends Disposable {
  /** Counts bytes on their way to the disk, and reserves those beyond the reserved space. */
  count<Bytes extends Uint8Array>(bytes: AsyncIterable<Bytes>): AsyncGenerator<Bytes>;
}

/** The most disk space for runs and data sets, including those still being written. */
export class DiskBudget {
  readonly #options: StorageOptions;
  #reservedBytes = 0;

  constructor(options: StorageOptions) {
    this.#options = options;
  }

  /**
   * Reserves disk space.
   *
   * @throws {HTTPException} 507 if there is not that much, or none at all.
   */
  async reserve(bytes = 0): Promise<ReservedRoom> {
    const { diskBudgetBytes = Infinity } = this.#options;
    let reserved = 0;
    const take = (bytes: number) => {
      reserved += bytes;
      this.#reservedBytes += bytes;
    };
    // At once, so that requests that come meanwhile see it.
    take(bytes);
    const free = () => take(-reserved);
    // Later reservations are no reason to refuse this one.
    const reservedByNow = this.#reservedBytes;
    try {
      const used = diskBudgetBytes === Infinity ? 0 : (await storage(this.#options)).total_bytes;
      const check = (reservedBytes: number) => {
        const total = used + reservedBytes;
        if (used < diskBudgetBytes && total <= diskBudgetBytes) return;
        throw new HTTPException(507, {
          message: `Runs and data sets take ${total} bytes of ${diskBudgetBytes}; delete some`,
        });
      };
      check(reservedByNow);
      const more = (bytes: number) => {
        if (bytes <= 0) return;
        take(bytes);
        check(this.#reservedBytes);
      };
      return {
        async *count(chunks) {
          let size = 0;
          for await (const chunk of chunks) {
            size += chunk.length;
            more(size - reserved);
            yield chunk;
          }
        },
        [Symbol.dispose]: free,
      };
    } catch (error) {
      free();
      throw error;
    }
  }
}

/** The disk space of runs and data sets, in bytes. */
export async function storage(
  { store, supervisor, datasets, diskBudgetBytes }: StorageOptions,
): Promise<z.infer<typeof Storage>> {
  const runs = await Promise.all((await store.summaries()).map(async ({ id, name }) => ({
    id,
    name,
    bytes: await supervisor.attempts(id).bytes(),
  })));
  const names = (await datasets.names()).filter((name) => name !== SAMPLE);
  const sets = await Promise.all(names.map(async (name) => ({
    name,
    bytes: await folderBytes(datasets.dirOf(name)),
  })));
  const total = [...runs, ...sets].reduce((sum, { bytes }) => sum + bytes, 0);
  const largestFirst = (a: { bytes: number }, b: { bytes: number }) => b.bytes - a.bytes;
  return {
    runs: runs.sort(largestFirst),
    datasets: sets.sort(largestFirst),
    total_bytes: total,
    budget_bytes: diskBudgetBytes ?? null,
  };
}
