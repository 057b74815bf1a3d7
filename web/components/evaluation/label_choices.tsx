/**
 * The choice of texts by their classes, and by whether they were found.
 *
 * @module
 */
import { route, setParameters } from "../../route.ts";
import { Choice } from "../basics.tsx";

/** The parameters of the address that choose a class, for none. */
export const NO_CLASS = { class: "", label: "", predicted: "" };

const OUTCOMES = [["", "All"], ["false", "Wrong"], ["true", "Right"]] as const;

/** The outcome that the address asks for: the mistakes, unless it names a class. */
function chosenOutcome(): typeof OUTCOMES[number][0] {
  const { parameters } = route.value;
  const isNamed = ["label", "predicted", "outcome"].some((name) => parameters.has(name));
  return OUTCOMES.map(([it]) => it).find((it) => it === parameters.get("outcome")) ??
    (isNamed ? "" : "false");
}

/** The part of a request for rows that these choices make. */
export function labelQuery() {
  const { parameters } = route.value;
  const label = parameters.get("label") ?? "";
  const predicted = parameters.get("predicted") ?? "";
  const outcome = chosenOutcome();
  return {
    ...label !== "" && { label },
    ...predicted !== "" && { predicted },
    ...outcome !== "" && { right: outcome },
  };
}

/** The choice of one of some outcomes. */
export function OutcomeChoice<Outcome extends string>(
  { options, value }: { options: readonly (readonly [Outcome, string])[]; value: Outcome },
) {
  return (
    <Choice
      label="Outcome"
      options={options}
      value={value}
      onChange={(outcome) => setParameters({ outcome: outcome === "" ? "all" : outcome })}
    />
  );
}

/** The choices of an outcome, a true and a predicted class. */
export function LabelChoices({ labels }: { labels: readonly string[] }) {
  const outcome = chosenOutcome();
  return (
    <>
      <OutcomeChoice options={OUTCOMES} value={outcome} />
      {([["label", "true"], ["predicted", "predicted"]] as const).map(([name, title]) => (
        <select
          key={name}
          aria-label={title}
          value={route.value.parameters.get(name) ?? ""}
          onChange={({ currentTarget }) => setParameters({ [name]: currentTarget.value, outcome })}
        >
          <option value="">{title}: any</option>
          {labels.map((label) => <option key={label} value={label}>{title}: {label}</option>)}
        </select>
      ))}
    </>
  );
}
