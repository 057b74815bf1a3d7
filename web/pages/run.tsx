/**
 * One run: its state, its live curves, its settings, and its result.
 *
 * @module
 */
import { useState } from "preact/hooks";
import { answered, client, type Run } from "../api.ts";
import { useQuery } from "../use_query.ts";
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
import { Curves } from "../components/run/curves.tsx";
import { Log } from "../components/run/log.tsx";
import { Result } from "../components/run/result.tsx";
import { Trials } from "../components/run/trials.tsx";
import { isActive, StateBadge } from "../components/state.tsx";
import { type FollowedRun, useFollowedRun } from "../followed_run.ts";
import { bytes, count, dateTime, decimals, duration, epoch, short } from "../format.ts";
import { go, href } from "../route.ts";
import { secondsOf, shortName } from "./runs.tsx";

/** The view of the newest run. */
export function LatestRunPage() {
  const { data, error } = useQuery(
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
  const { data: run, error, reload } = useQuery(
    (signal) => answered(client.GET("/v1/runs/{id}", { params: { path: { id } }, signal })),
    [id],
    1000,
  );
  const followed = useFollowedRun(id);
  if (run === undefined) {
    return (
      <>
        <Heading title="Run" back={{ href: href(["runs"]), name: "Runs" }} />
        {error === undefined ? <Loading rows={8} /> : <Failure error={error} retry={reload} />}
      </>
    );
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
            {isLatest && "The latest run · "}
            <bdi>{run.dataset}</bdi> · <bdi>{String(run.settings["model"])}</bdi> ·{" "}
            {String(run.settings["mode"])} · {run.started_at === undefined ? "created" : "begun"}
            {" "}
            <When time={run.started_at ?? run.created_at} />
          </>
        }
        back={{ href: href(["runs"]), name: "Runs" }}
      >
        {run.read_only !== true && <RunActions run={run} reload={reload} />}
      </Heading>
      <RunNotes run={run} />
      <Trials run={run} />
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
      {(run.state === "cancelled" || run.state === "failed") && run.trial_of === undefined && (
        <Button
          icon="play"
          busy={busy}
          onClick={() => void act("resume")}
        >
          Resume
        </Button>
      )}
      {run.trial_of === undefined && (
        <Button
          icon="retry"
          onClick={() => go(["new"], { retry: run.id })}
        >
          Retry with changes
        </Button>
      )}
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
          <p>Its curves, checkpoints, trials and model go, and cannot be brought back.</p>
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
      {run.trial_of !== undefined && (
        <p class="soft small">
          Tries settings for{" "}
          <a href={href(["runs", run.trial_of])}>another run</a>, and leaves no model
        </p>
      )}
      {run.retry_of !== undefined && (
        <p class="soft small">
          Retry of <a href={href(["runs", run.retry_of])}>{run.retry_of.slice(0, 8)}</a>
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

function SettingsCard({ run }: { run: Run }) {
  const settings = Object.entries(run.settings).sort(([a], [b]) => a < b ? -1 : 1);
  return (
    <Card title="Settings">
      <dl class="settings">
        {settings.map(([key, value]) => (
          <div key={key}>
            <dt>{breakable(key)}</dt>
            <dd>
              <bdi>{breakable(String(value))}</bdi>
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

/** A text that may go on in the next line after each `_`. */
function breakable(text: string) {
  return text.split(/(?<=_)/).map((part, i) => [i > 0 && <wbr key={i} />, part]);
}
