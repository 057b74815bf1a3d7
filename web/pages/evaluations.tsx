/**
 * Models measured on data sets: all of them, one with the texts behind its figures, or two beside
 * each other.
 *
 * @module
 */
import { useState } from "preact/hooks";
import { addressOf, answered, client, type Schemas } from "../api.ts";
import type { paths } from "../openapi.ts";
import { asError, useAsked } from "../asked.ts";
import {
  Button,
  Card,
  Choice,
  Command,
  Empty,
  Failure,
  Field,
  Figures,
  Heading,
  Loading,
  Note,
  When,
} from "../components/basics.tsx";
import { ConfusionMatrix } from "../components/confusion_matrix.tsx";
import { Icon } from "../components/icon.tsx";
import {
  metricEntries,
  metricInterval,
  METRICS,
  metricValue,
  type MetricValues,
  type ProblemType,
} from "../components/metrics.ts";
import { Reliability } from "../components/reliability.tsx";
import { ResidualsFigure } from "../components/residuals.tsx";
import { isActive, StateBadge } from "../components/state.tsx";
import { count, decimals, digits, percent, probability } from "../format.ts";
import { go, href, route, setParameters } from "../route.ts";

const INTERVAL_MS = 2000;
const PAGE = 50;

type Evaluation = Schemas["Evaluation"];
type Row = Schemas["EvaluationRow"];

/** The view of all evaluations. */
export function EvaluationsPage() {
  const { parameters } = route.value;
  const model = parameters.get("model") ?? "";
  const [shown, setShown] = useState(PAGE);
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const [isBusy, setIsBusy] = useState(false);
  const { data, error, reload } = useAsked(
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
                <th scope="col" class="wide-only">Begun</th>
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
        <p class="more">
          <Button onClick={() => setShown(shown + PAGE)}>Show more</Button>
        </p>
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

function NewEvaluation({ model: initial, onCreated }: { model: string; onCreated: () => void }) {
  const { data } = useAsked(async (signal) => {
    const [models, datasets] = await Promise.all([
      answered(client.GET("/v1/models", { params: { query: { limit: 200 } }, signal })),
      answered(client.GET("/v1/datasets", { signal })),
    ]);
    return {
      models: models.models.flatMap(({ name, versions }) =>
        versions.toReversed().map(({ version }) => `${name}@${version}`)
      ),
      datasets: datasets.datasets.map(({ name }) => name),
    };
  }, []);
  const [model, setModel] = useState<string>();
  const [dataset, setDataset] = useState<string>();
  const [error, setError] = useState<Error>();
  if (data === undefined || data.models.length === 0) return null;
  const ofInitial = data.models.find((it) => it === initial || it.startsWith(`${initial}@`));
  const chosenModel = model ?? ofInitial ?? data.models[0]!;
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
          <select
            id="evaluated-model"
            value={chosenModel}
            onChange={({ currentTarget }) => setModel(currentTarget.value)}
          >
            {data.models.map((it) => <option key={it} value={it}>{it}</option>)}
          </select>
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
        An evaluation shows what a model takes for what, and the texts behind each figure. Measure a
        model above, or from a terminal:
      </p>
      <Command
        text={`curl -d '{"model": "titles", "dataset": "sample"}' ${location.origin}/v1/evaluations`}
      />
    </Empty>
  );
}

/** The view of one evaluation. */
export function EvaluationPage({ id }: { id: string }) {
  const [isBusy, setIsBusy] = useState(true);
  const { data, error, reload } = useAsked(
    async (signal) => {
      const path = { id };
      const evaluation = await answered(
        client.GET("/v1/evaluations/{id}", { params: { path }, signal }),
      );
      setIsBusy(isActive(evaluation));
      return evaluation;
    },
    [id],
    isBusy ? INTERVAL_MS : undefined,
  );
  if (data === undefined) {
    return error === undefined ? <Loading rows={8} /> : <Failure error={error} retry={reload} />;
  }
  const { report, calibration, residuals } = data;
  return (
    <>
      <Heading
        title={
          <>
            <bdi>{data.model}</bdi>
            {data.state !== "succeeded" && <StateBadge run={data} />}
          </>
        }
        note={
          <>
            measured on the {data.split} file of <bdi>{data.dataset}</bdi>, begun{" "}
            <When time={data.created_at} />
          </>
        }
        back={{ href: href(["evaluations"]), name: "Evaluations" }}
      />
      {data.error !== undefined && <Note kind="danger">{data.error}</Note>}
      {isActive(data) && (
        <Card>
          <p class="soft">
            {data.state === "queued" ? "It waits for others." : "The texts are being classified."}
            {" "}
            This page shows the result when it is there.
          </p>
        </Card>
      )}
      {report !== undefined && (
        <>
          <Summary report={report} split={data.split} dataset={data.dataset} />
          {report.confusion_matrix !== undefined && (
            <div class="evaluation-columns">
              <Card title="Confusion matrix" note={`${data.split} file of ${data.dataset}`}>
                <Matrix report={report} />
              </Card>
              {calibration !== undefined && (
                <Card title="Are the scores what they say?">
                  <Reliability calibration={calibration} />
                </Card>
              )}
            </div>
          )}
          {residuals !== undefined && residuals.ranges.length > 0 && (
            <Card title="How far from the truth?" note={`${data.split} file of ${data.dataset}`}>
              <ResidualsFigure
                residuals={residuals}
                onChoose={(from, to) =>
                  showTexts({
                    min_label: String(from),
                    max_label: to === undefined ? "" : String(to),
                  })}
              />
            </Card>
          )}
          {report.per_class !== undefined && <Classes report={report} />}
          <Texts id={id} report={report} />
        </>
      )}
    </>
  );
}

type Report = Schemas["EvaluationReport"];

function Summary({ report, split, dataset }: { report: Report; split: string; dataset: string }) {
  const [firstMetric] = metricEntries(report);
  const part = (of: Report["seen"]) => {
    const value = of?.[firstMetric![0] as keyof NonNullable<Report["seen"]>];
    return of === null || of.n === 0 || typeof value !== "number"
      ? undefined
      : `${metricValue(firstMetric![0], value)} of ${count(of.n)}`;
  };
  const [seen, unseen] = [part(report.seen), part(report.unseen)];
  return (
    <Card
      title="Figures"
      note={`${count(report.n)} texts of the ${split} file of ${dataset}, with 95 % intervals`}
    >
      <div class="metric-tiles">
        {metricEntries(report).map(([key, name, value]) => (
          <div key={key}>
            <span class="soft small">{name}</span>
            <strong>{metricValue(key, value)}</strong>
            <span class="soft small">{metricInterval(key, report.interval[key])}</span>
          </div>
        ))}
        {report.majority !== undefined && (
          <div>
            <span class="soft small">Always the commonest class</span>
            <strong>{percent(report.majority)}</strong>
          </div>
        )}
      </div>
      <Figures
        figures={[
          ...unseen === undefined
            ? []
            : [[`${firstMetric![1]}, texts not trained on`, unseen] as [string, string]],
          ...seen === undefined
            ? []
            : [[`${firstMetric![1]}, texts seen in training`, seen] as [string, string]],
          ["Texts a second", digits(Math.round(report.samples_per_second))],
        ]}
      />
    </Card>
  );
}

function Matrix({ report }: { report: Report }) {
  const { parameters } = route.value;
  const chosen = {
    ...parameters.get("label") !== null && { label: parameters.get("label")! },
    ...parameters.get("predicted") !== null && { predicted: parameters.get("predicted")! },
  };
  return (
    <ConfusionMatrix
      labels={report.per_class!.map(({ label }) => label)}
      matrix={report.confusion_matrix!}
      chosen={chosen}
      onChoose={(cell) => showTexts({ ...cell, outcome: "" })}
    />
  );
}

/** Shows some of the texts, and scrolls to them. */
function showTexts(parameters: Record<string, string>): void {
  setParameters(parameters);
  document.getElementById("texts")?.scrollIntoView({ block: "start", behavior: "smooth" });
}

function Classes({ report }: { report: Report }) {
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
                    onClick={() =>
                      showTexts(
                        isOfSeveral
                          ? { ...NO_CLASS, class: label, outcome: "all" }
                          : { ...NO_CLASS, label, outcome: "" },
                      )}
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

/** The parameters that choose a class, for none. */
const NO_CLASS = { class: "", label: "", predicted: "" };

const OUTCOMES = [["", "All"], ["false", "Wrong"], ["true", "Right"]] as const;

/** The outcomes of one of several classes, with the rows that each asks for. */
const CLASS_OUTCOMES = [
  ["", "All"],
  ["missed", "Missed"],
  ["wrong", "Wrongly given"],
  ["found", "Found"],
] as const;

const SCORE_ORDERS = [
  ["highest_score", "surest first"],
  ["lowest_score", "least sure first"],
  ["file", "as in the file"],
] as const;

const ERROR_ORDERS = [
  ["largest_error", "largest error first"],
  ["smallest_error", "smallest error first"],
  ["file", "as in the file"],
] as const;

type RowQuery = NonNullable<paths["/v1/evaluations/{id}/rows"]["get"]["parameters"]["query"]>;

/** The rows of an outcome of one of several classes. */
function ofOutcome(name: string, outcome: string): RowQuery {
  switch (outcome) {
    case "missed":
      return { class: name, label: name, right: "false" };
    case "wrong":
      return { class: name, predicted: name, right: "false" };
    case "found":
      return { class: name, right: "true" };
  }
  return { class: name };
}

/** The texts behind the figures. */
function Texts({ id, report }: { id: string; report: Report }) {
  const { parameters } = route.value;
  const get = (name: string) => parameters.get(name) ?? "";
  const isNumber = report.problem_type === "regression";
  const isOfSeveral = report.problem_type === "multi_label_classification";
  const labels = report.per_class?.map(({ label }) => label) ?? [];
  const ofClass = get("class");
  const classOutcome =
    CLASS_OUTCOMES.map(([it]) => it).find((it) => it === parameters.get("outcome")) ?? "";
  const outcome = isNumber
    ? ""
    : OUTCOMES.map(([it]) => it).find((it) => it === parameters.get("outcome")) ??
      (parameters.has("label") || parameters.has("predicted") || parameters.has("outcome")
        ? ""
        : "false");
  const orders = isNumber ? ERROR_ORDERS : SCORE_ORDERS;
  const order = orders.map(([it]) => it).find((it) => it === get("order")) ?? orders[0][0];
  const seen = (["true", "false"] as const).find((it) => it === get("seen"));
  const [shown, setShown] = useState(PAGE);
  const range = {
    ...get("min_label") !== "" && { min_label: Number(get("min_label")) },
    ...get("max_label") !== "" && { max_label: Number(get("max_label")) },
  };
  const query: RowQuery = {
    order,
    ...get("label") !== "" && { label: get("label") },
    ...get("predicted") !== "" && { predicted: get("predicted") },
    ...get("text") !== "" && { text: get("text") },
    ...outcome !== "" && { right: outcome },
    ...seen !== undefined && { seen },
    ...isNumber && range,
    ...isOfSeveral && ofClass !== "" && ofOutcome(ofClass, classOutcome),
  };
  const { data, error, reload } = useAsked(
    (signal) =>
      answered(client.GET("/v1/evaluations/{id}/rows", {
        params: { path: { id }, query: { ...query, limit: shown } },
        signal,
      })),
    [id, query, shown],
  );
  const classChoice = (name: "label" | "predicted", title: string) => (
    <select
      aria-label={title}
      value={get(name)}
      onChange={({ currentTarget }) => setParameters({ [name]: currentTarget.value, outcome })}
    >
      <option value="">{title}: any</option>
      {labels.map((label) => <option key={label} value={label}>{title}: {label}</option>)}
    </select>
  );
  const given = Object.entries(query).map(([key, value]) => [key, String(value)]);
  const csv = addressOf(`/v1/evaluations/${id}/rows.csv?${new URLSearchParams(given)}`);
  return (
    <section class="card flush" id="texts">
      <div class="card-title">
        <div>
          <h2>Texts</h2>
          <p class="soft small" role="status">
            {data === undefined ? " " : `${count(data.total)} are like that`}
          </p>
        </div>
        <a class="button plain" href={csv} download>
          <Icon name="download" />
          <span>CSV</span>
        </a>
      </div>
      <div class="toolbar inside">
        {isOfSeveral && (
          <select
            aria-label="Class"
            value={ofClass}
            onChange={({ currentTarget }) =>
              setParameters({
                ...NO_CLASS,
                class: currentTarget.value,
                outcome: currentTarget.value === "" ? "" : "all",
              })}
          >
            <option value="">all classes</option>
            {labels.map((label) => <option key={label} value={label}>{label}</option>)}
          </select>
        )}
        {!isNumber && (isOfSeveral && ofClass !== ""
          ? (
            <Choice
              label="Outcome"
              options={CLASS_OUTCOMES}
              value={classOutcome}
              onChange={(outcome) => setParameters({ outcome: outcome === "" ? "all" : outcome })}
            />
          )
          : (
            <Choice
              label="Outcome"
              options={OUTCOMES}
              value={outcome}
              onChange={(outcome) => setParameters({ outcome: outcome === "" ? "all" : outcome })}
            />
          ))}
        {labels.length > 0 && ofClass === "" && classChoice("label", "true")}
        {labels.length > 0 && ofClass === "" && classChoice("predicted", "predicted")}
        {(range.min_label ?? range.max_label) !== undefined && (
          <Button
            kind="quiet"
            icon="close"
            onClick={() => setParameters({ min_label: "", max_label: "" })}
          >
            {rangeName(range)}
          </Button>
        )}
        <select
          aria-label="Seen in training"
          value={seen ?? ""}
          onChange={({ currentTarget }) => setParameters({ seen: currentTarget.value })}
        >
          <option value="">seen or not</option>
          <option value="false">not seen in training</option>
          <option value="true">seen in training</option>
        </select>
        <select
          aria-label="Order"
          value={order}
          onChange={({ currentTarget }) => setParameters({ order: currentTarget.value })}
        >
          {orders.map(([it, name]) => <option key={it} value={it}>{name}</option>)}
        </select>
        <label class="search">
          <Icon name="search" />
          <span class="hidden">In the text</span>
          <input
            type="search"
            placeholder="In the text"
            value={get("text")}
            onInput={({ currentTarget }) => setParameters({ text: currentTarget.value })}
          />
        </label>
      </div>
      {error !== undefined && (
        <div class="inside">
          <Failure error={error} retry={reload} />
        </div>
      )}
      {data !== undefined && <RowTable rows={data.rows} problemType={report.problem_type} />}
      {data !== undefined && data.rows.length < data.total && (
        <p class="more inside">
          <Button onClick={() => setShown(shown + 4 * PAGE)}>Show more</Button>
        </p>
      )}
    </section>
  );
}

/** `true number from 1 to 2` */
function rangeName({ min_label, max_label }: { min_label?: number; max_label?: number }): string {
  const from = min_label === undefined ? "" : ` from ${digits(min_label)}`;
  return `true number${from}${max_label === undefined ? "" : ` to ${digits(max_label)}`}`;
}

/** A label as people read it. */
function labelText(label: string, problemType: ProblemType): string {
  if (problemType === "regression") return decimals(Number(label));
  if (problemType === "single_label_classification") return label;
  return label === "" ? "none" : label.replaceAll("|", ", ");
}

function RowTable(
  { rows, problemType }: {
    rows: readonly (Row & { other?: string })[];
    problemType: ProblemType;
  },
) {
  if (rows.length === 0) return <p class="soft inside">No text is like that.</p>;
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

/** The view of two evaluations beside each other. */
export function EvaluationComparisonPage() {
  const { parameters } = route.value;
  const [first, second] = [parameters.get("first") ?? "", parameters.get("second") ?? ""];
  const outcome = parameters.get("outcome") === "first_only" ? "first_only" : "second_only";
  const [shown, setShown] = useState(PAGE);
  const { data, error, reload } = useAsked(async (signal) => {
    const load = (id: string) =>
      answered(client.GET("/v1/evaluations/{id}", { params: { path: { id } }, signal }));
    const [a, b, comparison] = await Promise.all([
      load(first),
      load(second),
      answered(client.GET("/v1/evaluations/{id}/comparison", {
        params: { path: { id: first }, query: { with: second, outcome, limit: shown } },
        signal,
      })),
    ]);
    return { a, b, comparison };
  }, [first, second, outcome, shown]);
  const heading = (
    <Heading
      title="Two models, the same texts"
      back={{ href: href(["evaluations"]), name: "Evaluations" }}
      note={data === undefined ? undefined : (
        <>
          the {data.a.split} file of <bdi>{data.a.dataset}</bdi>
        </>
      )}
    />
  );
  if (data === undefined) {
    return (
      <>
        {heading}
        {error === undefined ? <Loading rows={6} /> : <Failure error={error} retry={reload} />}
      </>
    );
  }
  const { a, b, comparison } = data;
  const { both, first_only, second_only, neither, p } = comparison;
  return (
    <>
      {heading}
      <Card
        title={p < 0.05 ? "They differ by more than chance" : "They may be equally good"}
        note={
          <>
            McNemar's exact test: two equal models differ as much in {probability(p)} of cases
          </>
        }
      >
        <Figures
          figures={[
            ["Both are right", count(both)],
            [`Only the first, ${a.model}`, count(first_only)],
            [`Only the second, ${b.model}`, count(second_only)],
            ["Neither is", count(neither)],
          ]}
        />
      </Card>
      <section class="card flush">
        <div class="card-title">
          <h2>Where they part</h2>
          <Choice
            label="Which texts"
            options={[
              ["second_only", `Only the second is right (${count(second_only)})`],
              ["first_only", `Only the first is right (${count(first_only)})`],
            ]}
            value={outcome}
            onChange={(outcome) => setParameters({ outcome })}
          />
        </div>
        <RowTable rows={comparison.rows} problemType={a.problem_type!} />
        {comparison.rows.length < comparison[outcome] && (
          <p class="more inside">
            <Button onClick={() => setShown(shown + 4 * PAGE)}>Show more</Button>
          </p>
        )}
      </section>
    </>
  );
}

/** The figures of an evaluation in a list. */
function figuresOf(evaluation: Evaluation) {
  const { problem_type } = evaluation;
  if (problem_type === undefined || !(problem_type in METRICS)) return [];
  return metricEntries({ ...evaluation, problem_type } as MetricValues);
}
