/**
 * The search for a run's settings.
 *
 * @module
 */
import type { Run, Schemas } from "../../api.ts";
import { duration } from "../../format.ts";
import { href } from "../../route.ts";
import { Card } from "../basics.tsx";
import { METRICS, metricValue } from "../metrics.ts";
import { isActive } from "../state.tsx";

type Tuning = Schemas["Tuning"];

/** The trials of a run with their values on the validation file, by their share of the steps. */
export function Trials({ run }: { run: Run }) {
  const { tuning } = run;
  if (tuning === undefined) return null;
  const { trials, results, best, failed } = tuning;
  const shares = [...new Set(results.map(({ share }) => share))].sort((a, b) => a - b);
  const sizes = ["lora_rank", "prefix_length"] as const;
  const size = sizes.find((key) => trials.some((trial) => trial[key] !== undefined));
  return (
    <Card title="Trials" note={standing(run, tuning)}>
      <div class="table-box">
        <table class="table plain">
          <caption>
            {metricName(tuning.metric)} on the validation file, by the share of the trial's steps
          </caption>
          <thead>
            <tr>
              <th scope="col">Trial</th>
              <th scope="col" class="number">Rate</th>
              <th scope="col" class="number">Epochs</th>
              {size !== undefined && (
                <th scope="col" class="number">{size === "lora_rank" ? "Rank" : "Length"}</th>
              )}
              {shares.map((share) => <th key={share} scope="col" class="number">{100 * share} %
              </th>)}
            </tr>
          </thead>
          <tbody>
            {trials.map((trial, i) => (
              <tr key={i}>
                <th scope="row">
                  {i === best ? <strong>{i + 1}, the best</strong> : i + 1}
                  {i === 0 && ", defaults"}
                  {failed.includes(i) && ", no result"}
                </th>
                <td class="number">{trial.learning_rate}</td>
                <td class="number">{trial.epochs}</td>
                {size !== undefined && <td class="number">{trial[size] ?? "default"}</td>}
                {shares.map((share) => {
                  const result = results.find((it) => it.trial === i && it.share === share);
                  return (
                    <td key={share} class="number">
                      {result !== undefined && (
                        <span title={`${result.steps} steps in ${duration(result.seconds)}`}>
                          {metricValue(tuning.metric, result.value)}
                        </span>
                      )}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="links">
        <a class="button plain" href={href(["runs"], { trial_of: run.id })}>
          The trials' runs
        </a>
      </p>
    </Card>
  );
}

function metricName(metric: Tuning["metric"]): string {
  if (metric === "loss") return "Loss";
  const names: Record<string, string> = Object.assign({}, ...Object.values(METRICS));
  return names[metric] ?? metric;
}

function standing(run: Run, { best, results }: Tuning): string {
  const done = `${results.length} ${results.length === 1 ? "run is" : "runs are"} done`;
  if (best === undefined) return isActive(run) ? `${done}; another goes on` : done;
  if (results.every(({ trial }) => trial === 0)) {
    return "The defaults stand: no other settings were tried";
  }
  return best === 0
    ? "The defaults stand: no other settings did better on the validation file by more than chance may"
    : `Trial ${best + 1} did best on the validation file`;
}
