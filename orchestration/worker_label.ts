/**
 * Labels of a cluster's workers, by which a run may choose its worker.
 *
 * @module
 */
import { z } from "zod";

/** The label of a worker. */
export const WorkerLabel = z.string().regex(
  /^[a-z0-9][-a-z0-9]{0,31}$/,
  "must be 1 to 32 of a-z 0-9 -, the first a letter or digit",
);
