/**
 * An evaluation of texts that have a number each.
 *
 * @module
 */
import type { Schemas } from "../../api.ts";
import { digits } from "../../format.ts";
import { route, setParameters } from "../../route.ts";
import { Button, Card } from "../basics.tsx";
import { ResidualsFigure } from "../residuals.tsx";
import { showTexts, Texts } from "./texts.tsx";

const ORDERS = [
  ["largest_error", "largest error first"],
  ["smallest_error", "smallest error first"],
  ["file", "as in the file"],
] as const;

/** How far the predictions are from the true numbers, and the texts by their errors. */
export function RegressionView(
  { evaluation: { id, split, dataset, residuals }, report }: {
    evaluation: Schemas["EvaluationWithReport"];
    report: Schemas["EvaluationReport"];
  },
) {
  const { parameters } = route.value;
  const range = Object.fromEntries(
    ["min_label", "max_label"].flatMap((name) => {
      const value = parameters.get(name) ?? "";
      return value === "" ? [] : [[name, Number(value)]];
    }),
  );
  return (
    <>
      {residuals !== undefined && residuals.ranges.length > 0 && (
        <Card title="Errors" note={`${split} file of ${dataset}`}>
          <ResidualsFigure
            residuals={residuals}
            onChoose={(from, to) =>
              showTexts({ min_label: String(from), max_label: to === undefined ? "" : String(to) })}
          />
        </Card>
      )}
      <Texts id={id} problemType={report.problem_type} orders={ORDERS} query={range}>
        {Object.keys(range).length > 0 && (
          <Button
            kind="quiet"
            icon="close"
            onClick={() => setParameters({ min_label: "", max_label: "" })}
          >
            {rangeName(range)}
          </Button>
        )}
      </Texts>
    </>
  );
}

/** `true number from 1 to 2` */
function rangeName({ min_label, max_label }: { min_label?: number; max_label?: number }): string {
  const from = min_label === undefined ? "" : ` from ${digits(min_label)}`;
  return `true number${from}${max_label === undefined ? "" : ` to ${digits(max_label)}`}`;
}
