/**
 * What a run has done, line by line.
 *
 * @module
 */
import type { FollowedRun } from "../../followed_run.ts";
import { Card } from "../basics.tsx";
import { count, short } from "../../format.ts";

/** The log. */
export function Log({ followed: { log } }: { followed: FollowedRun }) {
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
