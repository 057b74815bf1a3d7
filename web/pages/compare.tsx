/**
 * Two to eight runs beside each other: curves, the settings in which they differ, and figures.
 *
 * @module
 */
import { useMemo, useState } from "preact/hooks";
import { answered, client, type Run, type RunHistory } from "../api.ts";
import { useQuery } from "../use_query.ts";
import { Card, Choice, Empty, Failure, Heading, Loading } from "../components/basics.tsx";
import { Chart, type Curve, smoothed } from "../components/chart.tsx";
import { bestFigure, isBetter, metricEntries, metricInterval } from "../components/metrics.ts";
import { isActive, StateBadge } from "../components/state.tsx";
import { decimals } from "../format.ts";
import { href, route } from "../route.ts";
import { distinctNames } from "./runs.tsx";

/** The most runs to compare, as many as there are colours. */
export const MAX_COMPARED = 8;

const INTERVAL_MS = 2000;
const POINTS = 1000;
const COLUMNS = [["loss", "Loss"], ["grad_norm", "Gradient norm"], [
  "learning_rate",
  "Rate",
]] as const;

type Column = (typeof COLUMNS)[number][0];

interface Compared {
  run: Run;
  history: RunHistory;
}

/** The view. */
export function ComparePage() {
  const ids = (route.value.parameters.get("runs") ?? "").split(",").filter((id) => id !== "")
    .slice(0, MAX_COMPARED);
  const [isActiveNow, setIsActive] = useState(true);
  const { data, error, reload } = useQuery(
    async (signal) => {
      const compared = await Promise.all(ids.map((id) => load(id, signal)));
      setIsActive(compared.some(({ run }) => isActive(run)));
      return compared;
    },
    [ids],
    isActiveNow ? INTERVAL_MS : undefined,
  );
  const heading = (
    <Heading
      title="Compare runs"
      back={{ href: href(["runs"]), name: "Runs" }}
      note="Overlaid curves, and only the settings that differ"
    />
  );
  if (ids.length < 2) {
    return (
      <>
        {heading}
        <Empty icon="compare" title="Choose two to eight runs">
          <p>Tick them in the list of runs, then press “Compare”.</p>
          <p>
            <a class="button primary" href={href(["runs"])}>Runs</a>
          </p>
        </Empty>
      </>
    );
  }
  if (data === undefined) {
    return (
      <>
        {heading}
        {error === undefined ? <Loading rows={8} /> : <Failure error={error} retry={reload} />}
      </>
    );
  }
  return (
    <>
      {heading}
      <ComparedCurves compared={data} />
      <ComparedFigures runs={data.map(({ run }) => run)} />
      <ComparedSettings runs={data.map(({ run }) => run)} />
    </>
  );
}

function ComparedCurves({ compared }: { compared: readonly Compared[] }) {
  const [column, setColumn] = useState<Column>("loss");
  const names = distinctNames(compared.map(({ run }) => run));
  const stepCurves = useMemo(
    () =>
      compared.map(({ history: { steps } }, i): Curve => ({
        name: names[i]!,
        x: steps.step,
        y: column === "learning_rate" ? steps[column] : smoothed(steps[column], 0.8),
        colour: i,
      })),
    [compared, column],
  );
  const metric = compared.flatMap(({ history }) => history.evaluations)
    .flatMap((it) => metricEntries(it)[0] ?? [])[0];
  const name = COLUMNS.find(([key]) => key === column)![1];
  return (
    <Card
      title="Curves"
      actions={<Choice label="Curve" options={COLUMNS} value={column} onChange={setColumn} />}
    >
      <div class="charts">
        <Chart
          title={name}
          curves={stepCurves}
          height={280}
          summary={stepCurves.map(({ name, y }) => `${name} ${decimals(Number(y.at(-1) ?? NaN))}`)
            .join(", ")}
        />
        {typeof metric === "string" && (
          <Chart
            title="Validation"
            height={280}
            curves={compared.map(({ history: { evaluations } }, i): Curve => ({
              name: names[i]!,
              x: evaluations.map(({ step }) => step),
              y: evaluations.map((it) => metricEntries(it)[0]?.[2] ?? null),
              colour: i,
              points: true,
            }))}
            summary="the figure by which epochs are compared"
          />
        )}
      </div>
    </Card>
  );
}

function ComparedFigures({ runs }: { runs: readonly Run[] }) {
  const names = distinctNames(runs);
  return (
    <Card
      title="Figures"
      note="Each with its 95 % interval, and the texts it was measured on"
      flush
    >
      <div class="table-box">
        <table class="table plain">
          <thead>
            <tr>
              <th scope="col">Run</th>
              <th scope="col">State</th>
              <th scope="col">Measured on</th>
              <th scope="col" class="number">Figure</th>
              <th scope="col" class="number">95 % interval</th>
              <th scope="col">Compared with the best</th>
            </tr>
          </thead>
          <tbody>
            {runs.map((run, i) => {
              const figure = bestFigure(run);
              const [entry] = run.result === undefined ? [] : metricEntries(run.result.metrics);
              const interval = entry && run.result!.metrics.interval[entry[0]];
              return (
                <tr key={run.id}>
                  <th scope="row">
                    <i class="swatch" style={{ background: `var(--series-${i})` }} />
                    <a href={href(["runs", run.id])}>
                      <bdi>{names[i]}</bdi>
                    </a>
                  </th>
                  <td>
                    <StateBadge run={run} />
                  </td>
                  <td>{figure === undefined ? "–" : `${run.dataset}, ${figure.split} file`}</td>
                  <td class="number">
                    {figure === undefined ? "–" : (
                      <>
                        <span class="soft small">{figure.name}</span>{" "}
                        <strong>{figure.value}</strong>
                      </>
                    )}
                  </td>
                  <td class="number soft">
                    {entry === undefined ? "–" : metricInterval(entry[0], interval)}
                  </td>
                  <td>{standing(run, runs)}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </Card>
  );
}

/** How a run stands beside the best of those that were measured on the same texts. */
function standing(run: Run, runs: readonly Run[]): string {
  const figure = bestFigure(run);
  const rivals = runs.filter((it) => {
    const other = bestFigure(it);
    return it.dataset === run.dataset && other?.key === figure?.key &&
      other?.split === figure?.split;
  });
  if (figure === undefined || rivals.length === 1) return "–";
  const best = rivals.reduce((best, it) =>
    isBetter(figure.key, bestFigure(it)!.number, bestFigure(best)!.number) ? it : best
  );
  if (run === best) return "the best";
  const [own, others] = [run, best].map((it) => it.result?.metrics.interval[figure.key]);
  if (own === undefined || others === undefined) return "–";
  return overlap(own, others) ? "the intervals overlap" : "the intervals are apart";
}

function ComparedSettings({ runs }: { runs: readonly Run[] }) {
  const names = distinctNames(runs);
  const all = runs.map(({ settings, dataset }): Record<string, unknown> => ({
    dataset,
    ...settings,
  }));
  const keys = [...new Set(all.flatMap((settings) => Object.keys(settings)))].sort();
  const differing = keys.filter((key) => new Set(all.map((it) => String(it[key]))).size > 1);
  const same = keys.length - differing.length;
  return (
    <Card
      title="Settings that differ"
      note={same === 1 ? "1 other is the same in all" : `${same} others are the same in all`}
      flush={differing.length > 0}
    >
      {differing.length === 0
        ? <p class="soft">All settings are the same.</p>
        : (
          <div class="table-box">
            <table class="table plain">
              <thead>
                <tr>
                  <th scope="col">Setting</th>
                  {runs.map((run, i) => (
                    <th scope="col" key={run.id}>
                      <i class="swatch" style={{ background: `var(--series-${i})` }} />
                      <bdi>{names[i]}</bdi>
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {differing.map((key) => (
                  <tr key={key}>
                    <th scope="row" class="mono">{key}</th>
                    {all.map((settings, i) => (
                      <td key={i}>
                        <bdi>{settings[key] === undefined ? "default" : String(settings[key])}</bdi>
                      </td>
                    ))}
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
    </Card>
  );
}

function overlap(a: readonly number[], b: readonly number[]): boolean {
  return a[0]! <= b[1]! && b[0]! <= a[1]!;
}

async function load(id: string, signal: AbortSignal): Promise<Compared> {
  const path = { id };
  const [run, history] = await Promise.all([
    answered(client.GET("/v1/runs/{id}", { params: { path }, signal })),
    answered(
      client.GET("/v1/runs/{id}/history", { params: { path, query: { points: POINTS } }, signal }),
    ),
  ]);
  return { run, history };
}
