/**
 * The state of a run or an evaluation.
 *
 * @module
 */
import type { Run } from "../api.ts";
import { duration } from "../format.ts";
import { Meter } from "./basics.tsx";

/** The states in which something may still happen. */
export function isActive({ state }: { state: string }): boolean {
  return state === "queued" || state === "running" || state === "lost";
}

/** The state in a word, with a dot in its colour. */
export function StateBadge({ run }: { run: Pick<Run, "state"> & Partial<Run> }) {
  const { state, cancelling, read_only } = run;
  const shown = cancelling === true && isActive(run) ? "stopping" : state;
  return (
    <span class={`badge ${shown}`}>
      <i aria-hidden="true" />
      {read_only === true && state === "cancelled" ? "stopped" : shown}
    </span>
  );
}

/** The progress of a run, and the time left. */
export function RunProgress({ run }: { run: Run }) {
  const { progress, state } = run;
  if (progress === undefined) {
    const trials = run.tuning?.results.length ?? 0;
    const standing = state === "queued" ? "waits" : trials > 0 ? `${trials} trials done` : "–";
    return <span class="soft">{standing}</span>;
  }
  const { step, steps, seconds_left } = progress;
  if (state === "succeeded") return <span class="soft">{run.result?.steps ?? steps} steps</span>;
  return (
    <div class="progress">
      <Meter
        value={step / steps}
        label={`Step ${step} of ${steps}`}
        kind={isActive(run) ? "accent" : "faded"}
      />
      <span class="soft small">
        {Math.floor(100 * step / steps)} %
        {state === "running" && seconds_left !== undefined && ` · ${duration(seconds_left)} left`}
      </span>
    </div>
  );
}
