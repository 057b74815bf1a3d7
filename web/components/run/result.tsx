/**
 * The figures of a run.
 *
 * @module
 */
import type { Run } from "../../api.ts";
import { Card, Figures } from "../basics.tsx";
import { metricEntries, metricInterval, metricValue, type MetricValues } from "../metrics.ts";
import { count, probability } from "../../format.ts";
import { href } from "../../route.ts";

/** The figures of a finished run, each with its interval and the texts it was measured on. */
export function Result({ run: { result, progress, name, state, trial_of } }: { run: Run }) {
  if (result === undefined) {
    const best = progress?.best;
    if (best === undefined) return null;
    return (
      <Card title="Best so far" note={`on the validation file, at step ${count(best.step)}`}>
        <Figures
          figures={metricEntries(best).map(([key, name, value]) => [name, metricValue(key, value)])}
        />
      </Card>
    );
  }
  const { metrics, network_alone } = result;
  return (
    <Card title="Result" note={`on the ${metrics.split} file, ${count(metrics.n)} texts`}>
      <table class="table plain">
        <thead>
          <tr>
            <th scope="col">Metric</th>
            <th scope="col" class="number">Value</th>
            <th scope="col" class="number">95 % interval</th>
          </tr>
        </thead>
        <tbody>
          {metricEntries(metrics).map(([key, name, value]) => {
            return (
              <tr key={key}>
                <th scope="row">{name}</th>
                <td class="number">
                  <strong>{metricValue(key, value)}</strong>
                </td>
                <td class="number soft">
                  {metricInterval(key, metrics.interval[key])}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
      <p class="soft small">
        The weights are those of epoch {count(result.best_epoch)}, the best on the validation file.
        {(network_alone ?? null) !== null &&
          " Beside the network stands a linear model on n-grams; the curves are the network's alone."}
      </p>
      <Rivals result={result} />
      {state === "succeeded" && trial_of === undefined && (
        <p class="links">
          <a class="button plain" href={href(["playground"], { models: name })}>Try a text</a>
          <a class="button plain" href={href(["evaluations"], { model: name })}>
            Look at its mistakes
          </a>
        </p>
      )}
    </Card>
  );
}

/** Other models on the same texts, and whether they differ by more than chance. */
function Rivals({ result }: { result: NonNullable<Run["result"]> }) {
  const { metrics, network_alone, linear_baseline } = result;
  const rivals = [["The network alone", network_alone], [
    "A linear model",
    linear_baseline,
  ]] as const;
  const known = rivals.flatMap(([name, rival]) => rival ? [{ name, rival }] : []);
  const [metric] = metricEntries(metrics);
  if (known.length === 0 || metric === undefined) return null;
  const [key, metricName] = metric;
  const row = (
    name: string,
    values: MetricValues,
    interval: readonly number[] | undefined,
    p = "",
  ) => (
    <tr key={name}>
      <th scope="row">{name}</th>
      <td class="number">{metricValue(key, Number(values[key]))}</td>
      <td class="number soft middle-only">{metricInterval(key, interval)}</td>
      <td class="number soft">{p}</td>
    </tr>
  );
  return (
    <>
      <table class="table plain">
        <caption>On the same texts</caption>
        <thead>
          <tr>
            <th scope="col">Model</th>
            <th scope="col" class="number">{metricName}</th>
            <th scope="col" class="number middle-only">95 % interval</th>
            <th scope="col" class="number">p</th>
          </tr>
        </thead>
        <tbody>
          {row("This one", metrics, metrics.interval[key])}
          {known.map(({ name, rival }) =>
            row(name, rival, rival.interval[key], probability(rival.p_value))
          )}
        </tbody>
      </table>
      <p class="soft small">
        p: the probability of a difference this large between two equally good models
      </p>
    </>
  );
}
