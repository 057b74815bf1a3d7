/**
 * One run: its live curves, its settings, and its result.
 *
 * @module
 */
import { useState } from "preact/hooks";
import { answered, client, type Run } from "../api.ts";
import { useAsked } from "../asked.ts";
import {
  Button,
  Card,
  Command,
  Confirm,
  Empty,
  Failure,
  Figures,
  Heading,
  Loading,
  Meter,
  Note,
  When,
} from "../components/basics.tsx";
import { Chart, type Curve, smoothed } from "../components/chart.tsx";
import { metricEntries, metricInterval, metricValue } from "../components/metrics.ts";
import { isActive, StateBadge } from "../components/state.tsx";
import { bytes, count, dateTime, decimals, digits, duration, epoch, short } from "../format.ts";
import { type FollowedRun, useFollowedRun } from "../followed_run.ts";
import { go, href } from "../route.ts";
import { secondsOf, shortName } from "./runs.tsx";

/** The view of the newest run. */
export function LatestRunPage() {
  const { data, error } = useAsked(
    (signal) => answered(client.GET("/v1/runs", { params: { query: { limit: 1 } }, signal })),
    [],
    2000,
  );
  const id = data?.runs[0]?.id;
  if (id !== undefined) return <RunPage key={id} id={id} isLatest />;
  if (error !== undefined) return <Failure error={error} />;
  if (data === undefined) return <Loading />;
  return (
    <Empty icon="runs" title="Nothing has been trained here yet">
      <p>
        <a class="button primary" href={href(["new"])}>New run</a>
      </p>
    </Empty>
  );
}

/** The view. */
export function RunPage({ id, isLatest = false }: { id: string; isLatest?: boolean }) {
  const { data: run, error, reload } = useAsked(
    (signal) => answered(client.GET("/v1/runs/{id}", { params: { path: { id } }, signal })),
    [id],
    1000,
  );
  const followed = useFollowedRun(id);
  if (run === undefined) {
    return error === undefined ? <Loading rows={8} /> : <Failure error={error} retry={reload} />;
  }
  return (
    <>
      <Heading
        title={
          <>
            <bdi>{shortName(run)}</bdi>
            <StateBadge run={run} />
          </>
        }
        note={
          <>
            {isLatest && "The latest run, whichever that is · "}
            <bdi>{run.dataset}</bdi> · <bdi>{String(run.settings["model"])}</bdi> ·{" "}
            {String(run.settings["mode"])} · begun <When time={run.created_at} />
          </>
        }
        back={{ href: href(["runs"]), name: "Runs" }}
      >
        {run.read_only !== true && <RunActions run={run} reload={reload} />}
      </Heading>
      <RunNotes run={run} />
      <Standing run={run} followed={followed} />
      <Curves followed={followed} run={run} />
      <div class="columns">
        <Result run={run} />
        <SettingsCard run={run} />
      </div>
      <Log followed={followed} />
    </>
  );
}

/** The actions for a run in its current state. */
function RunActions({ run, reload }: { run: Run; reload: () => void }) {
  const [error, setError] = useState<Error>();
  const [busy, setBusy] = useState(false);
  const [isDeleting, setIsDeleting] = useState(false);
  const act = async (action: "cancel" | "resume") => {
    setBusy(true);
    setError(undefined);
    try {
      const params = { path: { id: run.id } };
      await answered(client.POST(`/v1/runs/{id}/${action}`, { params }));
      reload();
    } catch (error) {
      setError(error instanceof Error ? error : new Error(String(error)));
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      {isActive(run) && (
        <Button
          icon="stop"
          kind="danger"
          busy={busy || run.cancelling === true}
          onClick={() => void act("cancel")}
        >
          {run.cancelling === true ? "Stopping" : "Stop"}
        </Button>
      )}
      {(run.state === "cancelled" || run.state === "failed") && (
        <Button
          icon="play"
          busy={busy}
          onClick={() => void act("resume")}
        >
          Resume
        </Button>
      )}
      <Button icon="retry" onClick={() => go(["new"], { retry: run.id })}>
        Retry with changes
      </Button>
      {!isActive(run) && (
        <Button icon="trash" kind="quiet" onClick={() => setIsDeleting(true)}>Delete</Button>
      )}
      {error !== undefined && <p class="field-error" role="alert">{error.message}</p>}
      {isDeleting && (
        <Confirm
          title={`Delete ${shortName(run)}?`}
          action="Delete the run"
          onClose={() => setIsDeleting(false)}
          onConfirm={async () => {
            await answered(client.DELETE("/v1/runs/{id}", { params: { path: { id: run.id } } }));
            go(["runs"]);
          }}
        >
          <p>Its curves, checkpoints and model go, and cannot be brought back.</p>
        </Confirm>
      )}
    </>
  );
}

function RunNotes({ run }: { run: Run }) {
  return (
    <>
      {run.error !== undefined && <Note kind="danger">{run.error}</Note>}
      {run.state === "lost" && (
        <Note kind="warning">
          The training process has said nothing for{" "}
          {duration(run.silent_seconds ?? 0)}. If it stays silent the server replaces it, and the
          run goes on from step {count(run.checkpoint_step)}.
        </Note>
      )}
      {run.read_only === true && <CommandLineNote run={run} />}
      {run.state === "cancelled" && run.read_only !== true && run.progress !== undefined && (
        <Note>
          Stopped at step {count(run.progress.step)} of{" "}
          {count(run.progress.steps)}, with a checkpoint: “Resume” goes on from there.
        </Note>
      )}
      {run.retry_of !== undefined && (
        <p class="soft small">
          Another try of <a href={href(["runs", run.retry_of])}>{run.retry_of.slice(0, 8)}</a>
        </p>
      )}
    </>
  );
}

/** Why a run cannot be stopped or resumed here, and how it can. */
function CommandLineNote({ run: { state, folder, checkpoint_step } }: { run: Run }) {
  if (state === "running") {
    return (
      <Note>
        The command line trains it. The page shows what its folder says every few seconds; Ctrl-C in
        its terminal stops it.
      </Note>
    );
  }
  if (state === "succeeded") return <Note>The command line has trained it.</Note>;
  return (
    <>
      <Note>
        The command line trained it, and its process ended before it was done. {checkpoint_step > 0
          ? `In a terminal it goes on from its checkpoint of step ${count(checkpoint_step)}:`
          : "It has no checkpoint yet; in a terminal it begins again:"}
      </Note>
      <Command text={`deno task --quiet train --resume --out ${folder}`} />
    </>
  );
}

/** The progress, in one line of figures. */
function Standing({ run, followed }: { run: Run; followed: FollowedRun }) {
  const { progress, state } = run;
  if (progress === undefined) return null;
  const { steps } = followed;
  const last = steps.step.length - 1;
  // The stream leaves out steps that follow each other fast, perhaps even the last one.
  const step = run.result?.steps ?? Math.max(progress.step, steps.step[last] ?? 0);
  const seconds = secondsOf(run);
  return (
    <Card>
      <Meter
        value={state === "succeeded" ? 1 : step / progress.steps}
        label={`Step ${step} of ${progress.steps}`}
        kind={isActive(run) || state === "succeeded" ? "accent" : "faded"}
      />
      <Figures
        figures={[
          ["Step", `${count(step)} of ${count(progress.steps)}`],
          [
            "Epoch",
            `${epoch(steps.epoch[last] ?? progress.epoch)} of ${count(progress.epochs)}`,
          ],
          ["Loss", decimals(steps.loss[last] ?? progress.loss ?? NaN)],
          ...state === "running" && progress.seconds_left !== undefined
            ? [["Time left", duration(progress.seconds_left)] as [string, string]]
            : [],
          ["Time", seconds === undefined ? "–" : duration(seconds)],
          ...progress.tokens_per_second === undefined
            ? []
            : [["Tokens a second", short(progress.tokens_per_second)] as [string, string]],
          ...progress.device === undefined ? [] : [["Device", progress.device] as [string, string]],
          ...progress.memory_bytes === undefined
            ? []
            : [["Memory", bytes(progress.memory_bytes)] as [string, string]],
          ...run.attempt > 1 ? [["Attempts", count(run.attempt)] as [string, string]] : [],
        ]}
      />
    </Card>
  );
}

function Curves({ followed, run }: { followed: FollowedRun; run: Run }) {
  const [smoothing, setSmoothing] = useState(0.6);
  const [isLog, setIsLog] = useState(false);
  const { steps, evaluations } = followed;
  if (steps.step.length === 0) {
    return isActive(run)
      ? (
        <Card title="Curves">
          <p class="soft">
            {run.state === "queued"
              ? "It waits for others; the curves begin with its first step."
              : "It prepares the texts and the graph; the curves begin with its first step."}
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

/** The figures of a finished run, each with its interval and the texts it was measured on. */
function Result({ run: { result, progress, name, id, state } }: { run: Run }) {
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
  const { metrics } = result;
  const model = name === id ? id : name;
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
      </p>
      {state === "succeeded" && (
        <p class="links">
          <a class="button plain" href={href(["playground"], { models: name })}>Try a text</a>
          <a class="button plain" href={href(["evaluations"], { model: name })}>
            Look at its mistakes
          </a>
        </p>
      )}
      <Command text={`deno task predict --model ${model} "How to bake sourdough bread"`} />
    </Card>
  );
}

function SettingsCard({ run }: { run: Run }) {
  const settings = Object.entries(run.settings).sort(([a], [b]) => a < b ? -1 : 1);
  return (
    <Card title="Settings">
      <dl class="settings">
        {settings.map(([key, value]) => (
          <div key={key}>
            <dt>{key}</dt>
            <dd>
              <bdi>{String(value)}</bdi>
            </dd>
          </div>
        ))}
        <div>
          <dt>id</dt>
          <dd class="mono">{run.id}</dd>
        </div>
        <div>
          <dt>created</dt>
          <dd>{dateTime(run.created_at)}</dd>
        </div>
      </dl>
    </Card>
  );
}

function Log({ followed: { log } }: { followed: FollowedRun }) {
  if (log.length === 0) return null;
  return (
    <Card title="Log">
      <ol class="log">
        {log.map(({ id, event }) => (
          <li key={id}>
            <span class="log-number">{id}</span>
            <span>{logLine(event)}</span>
          </li>
        ))}
      </ol>
    </Card>
  );
}

function logLine(event: FollowedRun["log"][number]["event"]): string {
  switch (event.type) {
    case "state":
      return event.error === undefined ? event.state : `${event.state}: ${event.error}`;
    case "start": {
      const { model, device, device_reason, parameters, steps, steps_done } = event;
      const begin = steps_done === 0 ? "begins" : `goes on after step ${count(steps_done)}`;
      const sentences = [
        `${begin} on ${device} (${device_reason})`,
        `${model}, ${short(parameters)} numbers to train`,
        `${count(steps)} steps on ${count(event.train_examples)} texts`,
        ...event.truncated > 0 ? [`${count(event.truncated)} texts lose their end`] : [],
        event.leakage,
        ...event.notes,
      ];
      return sentences.map((sentence) => sentence.replace(/\.$/, "")).join(". ");
    }
    case "checkpoint":
      return `checkpoint at step ${count(event.step)}`;
    case "download":
      return `downloaded ${event.file}`;
    case "finish":
      return `the model is written; the best epoch was ${count(event.best_epoch)}`;
  }
}
