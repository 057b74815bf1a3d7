/**
 * One model measured on one data set: the figures, and the texts behind them.
 *
 * @module
 */
import { useState } from "preact/hooks";
import { answered, client, type Schemas } from "../api.ts";
import { useQuery } from "../use_query.ts";
import { Card, Failure, Figures, Heading, Loading, Note, When } from "../components/basics.tsx";
import { MultiLabelView } from "../components/evaluation/multi_label.tsx";
import { RegressionView } from "../components/evaluation/regression.tsx";
import { SingleLabelView } from "../components/evaluation/single_label.tsx";
import { metricEntries, metricInterval, metricValue } from "../components/metrics.ts";
import { isActive, StateBadge } from "../components/state.tsx";
import { count, digits, percent } from "../format.ts";
import { href } from "../route.ts";

const INTERVAL_MS = 2000;

type Evaluation = Schemas["EvaluationWithReport"];
type Report = Schemas["EvaluationReport"];

/** The view of one evaluation. */
export function EvaluationPage({ id }: { id: string }) {
  const [isBusy, setIsBusy] = useState(true);
  const { data, error, reload } = useQuery(
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
    return (
      <>
        <Heading title="Evaluation" back={{ href: href(["evaluations"]), name: "Evaluations" }} />
        {error === undefined ? <Loading rows={8} /> : <Failure error={error} retry={reload} />}
      </>
    );
  }
  const { report } = data;
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
            {data.state === "queued" ? "Queued." : "Classifying the texts."}{" "}
            The result will appear here.
          </p>
        </Card>
      )}
      {report !== undefined && (
        <>
          <Summary report={report} split={data.split} dataset={data.dataset} />
          <ProblemView evaluation={data} report={report} />
        </>
      )}
    </>
  );
}

/** The view of a kind of problem. */
function ProblemView(props: { evaluation: Evaluation; report: Report }) {
  switch (props.report.problem_type) {
    case "single_label_classification":
      return <SingleLabelView {...props} />;
    case "multi_label_classification":
      return <MultiLabelView {...props} />;
    case "regression":
      return <RegressionView {...props} />;
  }
}

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
