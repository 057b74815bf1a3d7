/**
 * The classes of an evaluation.
 *
 * @module
 */
import { useState } from "preact/hooks";
import type { Schemas } from "../../api.ts";
import { count, decimals, percent } from "../../format.ts";
import { Button, Card } from "../basics.tsx";

/** The classes with their figures, the worst first. */
export function Classes(
  { report, onChoose }: {
    report: Schemas["EvaluationReport"];
    /** Called for the class whose texts are to be shown. */
    onChoose: (label: string) => void;
  },
) {
  const { threshold, thresholds } = report;
  const [isWhole, setIsWhole] = useState(false);
  const isOfSeveral = threshold !== undefined;
  const classes = report.per_class!.map((it, i) => ({
    ...it,
    threshold: thresholds?.[i] ?? threshold,
  }));
  const sorted = classes.toSorted((a, b) => a.f1 - b.f1);
  const shown = isWhole ? sorted : sorted.slice(0, 12);
  return (
    <Card
      title="Classes"
      note={isOfSeveral
        ? "The worst first; a class is given to a text whose score reaches its threshold"
        : "The worst first"}
      flush
    >
      <div class="table-box">
        <table class="table plain">
          <thead>
            <tr>
              <th scope="col">Class</th>
              <th scope="col" class="number">F1</th>
              <th scope="col" class="number middle-only">Precision</th>
              <th scope="col" class="number middle-only">Recall</th>
              {isOfSeveral && <th scope="col" class="number">Threshold</th>}
              <th scope="col" class="number">Texts</th>
            </tr>
          </thead>
          <tbody>
            {shown.map(({ label, f1, precision, recall, support, threshold }) => (
              <tr key={label}>
                <th scope="row">
                  <button
                    type="button"
                    class="link"
                    onClick={() => onChoose(label)}
                  >
                    <bdi>{label}</bdi>
                  </button>
                </th>
                <td class="number">
                  <strong>{decimals(f1)}</strong>
                </td>
                <td class="number middle-only">{decimals(precision)}</td>
                <td class="number middle-only">{decimals(recall)}</td>
                {isOfSeveral && <td class="number">{percent(threshold!)}</td>}
                <td class="number">{count(support)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {sorted.length > shown.length && (
        <p class="more inside">
          <Button kind="quiet" onClick={() => setIsWhole(true)}>
            Show all {count(sorted.length)}
          </Button>
        </p>
      )}
    </Card>
  );
}
