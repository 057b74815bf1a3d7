/**
 * An evaluation of texts that may have several classes each.
 *
 * @module
 */
import type { Schemas } from "../../api.ts";
import { route, setParameters } from "../../route.ts";
import { Classes } from "./classes.tsx";
import { LabelChoices, labelQuery, NO_CLASS, OutcomeChoice } from "./label_choices.tsx";
import { type RowQuery, SCORE_ORDERS, showTexts, Texts } from "./texts.tsx";

const CLASS_OUTCOMES = [
  ["", "All"],
  ["missed", "Missed"],
  ["wrong", "Wrongly given"],
  ["found", "Found"],
] as const;

/** The classes with their thresholds, and the texts in which each was found, missed or wrong. */
export function MultiLabelView(
  { evaluation: { id }, report }: {
    evaluation: Schemas["EvaluationWithReport"];
    report: Schemas["EvaluationReport"];
  },
) {
  const { parameters } = route.value;
  const labels = report.per_class!.map(({ label }) => label);
  const name = parameters.get("class") ?? "";
  const outcome = CLASS_OUTCOMES.map(([it]) => it).find((it) => it === parameters.get("outcome")) ??
    "";
  const choose = (name: string) => ({
    ...NO_CLASS,
    class: name,
    outcome: name === "" ? "" : "all",
  });
  return (
    <>
      <Classes report={report} onChoose={(label) => showTexts(choose(label))} />
      <Texts
        id={id}
        problemType={report.problem_type}
        orders={SCORE_ORDERS}
        query={name === "" ? labelQuery() : classQuery(name, outcome)}
      >
        <select
          aria-label="Class"
          value={name}
          onChange={({ currentTarget }) => setParameters(choose(currentTarget.value))}
        >
          <option value="">all classes</option>
          {labels.map((label) => <option key={label} value={label}>{label}</option>)}
        </select>
        {name === ""
          ? <LabelChoices labels={labels} />
          : <OutcomeChoice options={CLASS_OUTCOMES} value={outcome} />}
      </Texts>
    </>
  );
}

/** The rows of an outcome of one class. */
function classQuery(name: string, outcome: typeof CLASS_OUTCOMES[number][0]): RowQuery {
  switch (outcome) {
    case "missed":
      return { class: name, label: name, right: "false" };
    case "wrong":
      return { class: name, predicted: name, right: "false" };
    case "found":
      return { class: name, right: "true" };
    case "":
      return { class: name };
  }
}
