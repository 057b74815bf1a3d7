/**
 * The curves of a run: loss, validation, gradient norm and learning rate.
 *
 * @module
 */
import { useState } from "preact/hooks";
import { type Run } from "../../api.ts";
import type { FollowedRun } from "../../followed_run.ts";
import { Card } from "../basics.tsx";
import { Chart, type Curve, smoothed } from "../chart.tsx";
import { metricEntries } from "../metrics.ts";
import { isActive } from "../state.tsx";
import { decimals, digits } from "../../format.ts";

/** The curves. */
export function Curves({ followed, run }: { followed: FollowedRun; run: Run }) {
  const [smoothing, setSmoothing] = useState(0.6);
  const [isLog, setIsLog] = useState(false);
  const { steps, evaluations } = followed;
  if (steps.step.length === 0) {
    return isActive(run)
      ? (
        <Card title="Curves">
          <p class="soft">
            {run.state === "queued"
              ? "Queued; the curves begin with the first step."
              : "Preparing the texts and the graph; the curves begin with the first step."}
          </p>
        </Card>
      )
      : null;
  }
  const { step } = steps;
  const lossCurves: Curve[] = [
    { name: "each step", x: step, y: steps.loss, colour: 0, pale: true },
    { name: "training", x: step, y: smoothed(steps.loss, smoothing), colour: 0 },
    {
      name: "validation",
      x: evaluations.map(({ step }) => step),
      y: evaluations.map(({ loss }) => loss),
      colour: 1,
      points: true,
    },
  ];
  const [first] = evaluations;
  const metricCurves = first === undefined
    ? []
    : metricEntries(first).map(([key, name], i): Curve => ({
      name,
      x: evaluations.map(({ step }) => step),
      y: evaluations.map((evaluation) => evaluation[key as keyof typeof evaluation] as number),
      colour: i,
      points: true,
    }));
  return (
    <Card
      title="Curves"
      actions={
        <div class="chart-controls">
          <label class="check-label">
            <input
              type="checkbox"
              checked={isLog}
              onChange={({ currentTarget }) => setIsLog(currentTarget.checked)}
            />
            Logarithmic
          </label>
          <label class="range-label">
            Smoothing
            <input
              type="range"
              min="0"
              max="0.98"
              step="0.02"
              value={smoothing}
              onInput={({ currentTarget }) => setSmoothing(Number(currentTarget.value))}
            />
          </label>
        </div>
      }
    >
      <div class="charts">
        <Chart
          title="Loss"
          curves={lossCurves}
          log={isLog}
          summary={`now ${decimals(steps.loss.at(-1)!)}, at first ${decimals(steps.loss[0]!)}`}
        />
        {first === undefined
          ? (
            <div class="chart-wait soft">
              The validation file is measured at the end of each epoch.
            </div>
          )
          : (
            <Chart
              title="Validation"
              curves={metricCurves}
              summary={metricCurves.map(({ name, y }) => `${name} ${decimals(Number(y.at(-1)))}`)
                .join(", ")}
            />
          )}
        <Chart
          title="Gradient norm"
          curves={[
            { name: "each step", x: step, y: steps.grad_norm, colour: 2, pale: true },
            { name: "norm", x: step, y: smoothed(steps.grad_norm, smoothing), colour: 2 },
          ]}
          log={isLog}
          summary={`now ${decimals(steps.grad_norm.at(-1)!)}`}
        />
        <Chart
          title="Learning rate"
          curves={[{ name: "rate", x: step, y: steps.learning_rate, colour: 4 }]}
          summary={`now ${digits(steps.learning_rate.at(-1)!)}`}
        />
      </div>
    </Card>
  );
}
