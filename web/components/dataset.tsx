/**
 * What a data set and a file that becomes one have in common.
 *
 * @module
 */
import type { Schemas } from "../api.ts";
import { Note } from "./basics.tsx";
import { count } from "../format.ts";

type Dataset = Schemas["Dataset"];

/** Notes on how the files were read, and on odd labels. */
export function Notes({ notes }: { notes: readonly string[] }) {
  if (notes.length === 0) return null;
  return (
    <Note kind="warning">
      <ul class="notes">{notes.map((note) => <li key={note}>{note}</li>)}</ul>
    </Note>
  );
}

/** `3 classes; 70 for train, 10 for validation, 20 for test` */
export function sizes({ rows, labels, problem_type }: Dataset): string {
  const parts = Object.entries(rows).map(([side, rows]) => `${count(rows)} for ${side}`).join(", ");
  return problem_type === "regression" ? parts : `${count(labels.length)} classes; ${parts}`;
}
