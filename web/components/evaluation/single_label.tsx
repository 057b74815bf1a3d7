/**
 * An evaluation of texts that have one class each.
 *
 * @module
 */
import type { Schemas } from "../../api.ts";
import { route } from "../../route.ts";
import { Card } from "../basics.tsx";
import { ConfusionMatrix } from "../confusion_matrix.tsx";
import { Reliability } from "../reliability.tsx";
import { Classes } from "./classes.tsx";
import { LabelChoices, labelQuery } from "./label_choices.tsx";
import { SCORE_ORDERS, showTexts, Texts } from "./texts.tsx";

/** Which class is taken for which, how far the scores can be believed, and the texts. */
export function SingleLabelView(
  { evaluation: { id, split, dataset, calibration }, report }: {
    evaluation: Schemas["EvaluationWithReport"];
    report: Schemas["EvaluationReport"];
  },
) {
  const { parameters } = route.value;
  const [label, predicted] = [parameters.get("label"), parameters.get("predicted")];
  const labels = report.per_class!.map(({ label }) => label);
  return (
    <>
      <div class="evaluation-columns">
        <Card title="Confusion matrix" note={`${split} file of ${dataset}`}>
          <ConfusionMatrix
            labels={labels}
            matrix={report.confusion_matrix!}
            chosen={{ ...label !== null && { label }, ...predicted !== null && { predicted } }}
            onChoose={(cell) => showTexts({ ...cell, outcome: "" })}
          />
        </Card>
        {calibration !== undefined && (
          <Card title="Calibration">
            <Reliability calibration={calibration} />
          </Card>
        )}
      </div>
      <Classes
        report={report}
        onChoose={(label) => showTexts({ label, predicted: "", outcome: "" })}
      />
      <Texts
        id={id}
        problemType={report.problem_type}
        orders={SCORE_ORDERS}
        query={labelQuery()}
      >
        <LabelChoices labels={labels} />
      </Texts>
    </>
  );
}
