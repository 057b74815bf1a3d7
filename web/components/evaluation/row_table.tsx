/**
 * The texts of an evaluation in a table.
 *
 * @module
 */
import type { Schemas } from "../../api.ts";
import { decimals, percent } from "../../format.ts";
import type { ProblemType } from "../metrics.ts";

type Row = Schemas["EvaluationRow"];

/** A label as people read it. */
function labelText(label: string, problemType: ProblemType): string {
  if (problemType === "regression") return decimals(Number(label));
  if (problemType === "single_label_classification") return label;
  return label === "" ? "none" : label.replaceAll("|", ", ");
}

/** Texts with what is true, what was predicted, and how sure or how far off that was. */
export function RowTable(
  { rows, problemType }: {
    rows: readonly (Row & { other?: string })[];
    problemType: ProblemType;
  },
) {
  if (rows.length === 0) return <p class="soft inside">No matching texts.</p>;
  const hasOther = rows[0]!.other !== undefined;
  const isNumber = problemType === "regression";
  const outcome = (isRight: boolean) => isRight ? "is-right" : "is-wrong";
  return (
    <div class="table-box">
      <table class="table plain texts">
        <caption class="hidden">Texts</caption>
        <thead>
          <tr>
            <th scope="col">Text</th>
            <th scope="col" class={isNumber ? "number" : ""}>True</th>
            <th scope="col" class={isNumber ? "number middle-only" : ""}>
              {hasOther ? "The first said" : "Predicted"}
            </th>
            {hasOther && <th scope="col">The second said</th>}
            <th scope="col" class="number">{isNumber ? "Error" : "Score"}</th>
            <th scope="col" class="middle-only">In training</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.index}>
              <td class="text" dir="auto">{row.text}</td>
              <td class={isNumber ? "number" : ""}>
                <bdi>{labelText(row.label, problemType)}</bdi>
              </td>
              <td class={isNumber ? "number middle-only" : outcome(row.right)}>
                <bdi>{labelText(row.predicted, problemType)}</bdi>
                {!isNumber && <span class="hidden">{row.right ? "right" : "wrong"}</span>}
              </td>
              {hasOther && (
                <td class={outcome(!row.right)}>
                  <bdi>{labelText(row.other!, problemType)}</bdi>
                </td>
              )}
              <td class="number">
                {row.error !== null
                  ? `${row.error > 0 ? "+" : ""}${decimals(row.error)}`
                  : row.score === null
                  ? "–"
                  : percent(row.score)}
              </td>
              <td class="soft middle-only">
                {row.seen === null ? "not known" : row.seen ? "seen" : "no"}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
