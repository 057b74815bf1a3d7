/**
 * Models measured on data sets.
 *
 * @module
 */
import { useState } from "preact/hooks";
import { answered, client, type Schemas } from "../api.ts";
import { asError, useQuery } from "../use_query.ts";
import {
  Button,
  Card,
  Command,
  Empty,
  Failure,
  Field,
  Heading,
  Loading,
  ShowMore,
  When,
} from "../components/basics.tsx";
import { metricEntries, METRICS, metricValue, type MetricValues } from "../components/metrics.ts";
import { isActive, StateBadge } from "../components/state.tsx";
import { ModelField } from "../components/model/model_field.tsx";
import { count } from "../format.ts";
import { go, href, route } from "../route.ts";

const INTERVAL_MS = 2000;
const PAGE = 50;

type Evaluation = Schemas["Evaluation"];

/** The view of all evaluations. */
export function EvaluationsPage() {
  const { parameters } = route.value;
  const model = parameters.get("model") ?? "";
  const [shown, setShown] = useState(PAGE);
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const [isBusy, setIsBusy] = useState(false);
  const { data, error, reload } = useQuery(
    async (signal) => {
      const query = { limit: shown, ...model !== "" && { model } };
      const page = await answered(client.GET("/v1/evaluations", { params: { query }, signal }));
      setIsBusy(page.evaluations.some(isActive));
      return page;
    },
    [model, shown],
    isBusy ? INTERVAL_MS : undefined,
  );
  return (
    <>
      <Heading
        title="Evaluations"
        note={model === "" ? "Models measured on data sets, the newest first" : (
          <>
            of <bdi>{model}</bdi> · <a href={href(["evaluations"])}>show all</a>
          </>
        )}
      >
        {chosen.length > 0 && (
          <Button
            icon="compare"
            disabled={chosen.length !== 2}
            onClick={() => go(["evaluations", "compare"], { first: chosen[0], second: chosen[1] })}
          >
            {chosen.length === 2 ? "Compare the two" : "Choose one more"}
          </Button>
        )}
      </Heading>
      <NewEvaluation model={model} onCreated={reload} />
      {data === undefined &&
        (error === undefined ? <Loading /> : <Failure error={error} retry={reload} />)}
      {data?.evaluations.length === 0 && <NoEvaluations />}
      {data !== undefined && data.evaluations.length > 0 && (
        <div class="table-box">
          <table class="table rows">
            <caption class="hidden">Evaluations</caption>
            <thead>
              <tr>
                <th scope="col" class="check">
                  <span class="hidden">Compare</span>
                </th>
                <th scope="col">Model</th>
                <th scope="col">Measured on</th>
                <th scope="col" class="middle-only">State</th>
                <th scope="col" class="number">Figure</th>
                <th scope="col" class="number wide-only">Texts</th>
                <th scope="col" class="wide-only">Created</th>
              </tr>
            </thead>
            <tbody>
              {data.evaluations.map((evaluation) => (
                <EvaluationRow
                  key={evaluation.id}
                  evaluation={evaluation}
                  isChosen={chosen.includes(evaluation.id)}
                  onChoose={() =>
                    setChosen((before) =>
                      before.includes(evaluation.id)
                        ? before.filter((id) => id !== evaluation.id)
                        : [...before, evaluation.id].slice(-2)
                    )}
                />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {data !== undefined && data.next !== null && (
        <ShowMore onClick={() => setShown(shown + PAGE)} />
      )}
    </>
  );
}

function EvaluationRow(
  { evaluation, isChosen, onChoose }: {
    evaluation: Evaluation;
    isChosen: boolean;
    onChoose: () => void;
  },
) {
  const { id, model, dataset, split, state, n, created_at } = evaluation;
  const [first] = figuresOf(evaluation);
  return (
    <tr class={isChosen ? "chosen" : ""}>
      <td class="check">
        {state === "succeeded" && (
          <input
            type="checkbox"
            aria-label={`Compare ${model} on ${dataset}`}
            checked={isChosen}
            onChange={onChoose}
          />
        )}
      </td>
      <td>
        <a class="row-link" href={href(["evaluations", id])}>
          <bdi>{model}</bdi>
        </a>
        {state !== "succeeded" && (
          <div class="narrow-only">
            <StateBadge run={{ state }} />
          </div>
        )}
      </td>
      <td>
        <bdi>{dataset}</bdi> <span class="soft small">{split} file</span>
      </td>
      <td class="middle-only">
        <StateBadge run={{ state }} />
      </td>
      <td class="number">
        {first === undefined ? <span class="soft">–</span> : (
          <span title={first[1]}>
            <strong>{metricValue(first[0], first[2])}</strong>
          </span>
        )}
      </td>
      <td class="number wide-only">{n === undefined ? "–" : count(n)}</td>
      <td class="wide-only">
        <When time={created_at} />
      </td>
    </tr>
  );
}

/** The references to a model's versions, the newest first. */
function versionsOf({ name, versions }: Schemas["Model"]): string[] {
  return versions.toReversed().map(({ version }) => `${name}@${version}`);
}

function NewEvaluation({ model: initial, onCreated }: { model: string; onCreated: () => void }) {
  const { data } = useQuery(async (signal) => {
    const [models, datasets] = await Promise.all([
      answered(client.GET("/v1/models", { params: { query: { limit: 1 } }, signal })),
      answered(client.GET("/v1/datasets", { signal })),
    ]);
    return {
      first: models.models.flatMap(versionsOf)[0],
      datasets: datasets.datasets.map(({ name }) => name),
    };
  }, []);
  const [model, setModel] = useState<string>();
  const [dataset, setDataset] = useState<string>();
  const [error, setError] = useState<Error>();
  if (data?.first === undefined) return null;
  const chosenModel = model ?? (initial === "" ? data.first : initial);
  const chosenDataset = dataset ?? data.datasets[0] ?? "sample";
  const create = async () => {
    try {
      const body = { model: chosenModel, dataset: chosenDataset };
      const { id } = await answered(client.POST("/v1/evaluations", { body }));
      onCreated();
      go(["evaluations", id]);
    } catch (error) {
      setError(asError(error));
    }
  };
  return (
    <Card>
      <form
        class="inline-form"
        onSubmit={(event) => {
          event.preventDefault();
          void create();
        }}
      >
        <Field id="evaluated-model" label="Measure">
          <ModelField
            id="evaluated-model"
            value={chosenModel}
            referencesOf={versionsOf}
            onInput={setModel}
          />
        </Field>
        <Field id="evaluated-dataset" label="on the data set">
          <select
            id="evaluated-dataset"
            value={chosenDataset}
            onChange={({ currentTarget }) => setDataset(currentTarget.value)}
          >
            {data.datasets.map((it) => <option key={it} value={it}>{it}</option>)}
          </select>
        </Field>
        <Button type="submit" kind="primary" icon="play">Measure</Button>
      </form>
      {error !== undefined && <Failure error={error} />}
    </Card>
  );
}

function NoEvaluations() {
  return (
    <Empty icon="evaluations" title="Nothing has been measured yet">
      <p>
        An evaluation shows which classes a model confuses, and the texts behind each figure.
        Measure a model above, or from a terminal:
      </p>
      <Command
        text={`curl -d '{"model": "titles", "dataset": "sample"}' ${location.origin}/v1/evaluations`}
      />
    </Empty>
  );
}

/** The figures of an evaluation in a list. */
function figuresOf(evaluation: Evaluation) {
  const { problem_type } = evaluation;
  if (problem_type === undefined || !(problem_type in METRICS)) return [];
  return metricEntries({ ...evaluation, problem_type } as MetricValues);
}
