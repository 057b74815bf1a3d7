/**
 * All runs: their states and figures.
 *
 * @module
 */
import { useEffect, useState } from "preact/hooks";
import { answered, client, type Run } from "../api.ts";
import { useQuery } from "../use_query.ts";
import {
  Button,
  Choice,
  Command,
  Empty,
  Failure,
  Heading,
  Loading,
  Search,
  ShowMore,
  When,
} from "../components/basics.tsx";
import { Icon } from "../components/icon.tsx";
import { bestFigure } from "../components/metrics.ts";
import { isActive, RunProgress, StateBadge } from "../components/state.tsx";
import { duration } from "../format.ts";
import { go, href, route, setParameters } from "../route.ts";
import { MAX_COMPARED } from "./compare.tsx";
import { TrainOnSample } from "./train_on_sample.tsx";

const PAGE = 50;
const ACTIVE_INTERVAL_MS = 1500;
const IDLE_INTERVAL_MS = 5000;

const STATES = [
  ["", "All"],
  ["running", "Running"],
  ["queued", "Queued"],
  ["succeeded", "Succeeded"],
  ["failed", "Failed"],
  ["cancelled", "Cancelled"],
] as const;

type State = (typeof STATES)[number][0];

/** The sort orders of the table. */
const ORDERS: Record<string, (run: Run) => number | string> = {
  name: ({ name }) => name.toLowerCase(),
  state: ({ state }) => state,
  best: (run) => bestFigure(run)?.number ?? -Infinity,
  dataset: ({ dataset }) => dataset,
  time: (run) => secondsOf(run) ?? -1,
};

/** The view. */
export function RunsPage() {
  const { parameters } = route.value;
  const state = STATES.map(([state]) => state).find((it) => it === parameters.get("state")) ?? "";
  const name = parameters.get("name") ?? "";
  const order = parameters.get("sort") ?? "";
  const trialOf = parameters.get("trial_of") ?? "";
  const [shown, setShown] = useState(PAGE);
  const [chosen, setChosen] = useState<readonly string[]>([]);
  useEffect(() => setShown(PAGE), [state, name]);
  const [isBusy, setIsBusy] = useState(true);
  const { data, error, reload } = useQuery(
    (signal) =>
      runsUpTo(shown, {
        ...state !== "" && { state },
        ...name !== "" && { name },
        ...trialOf !== "" && { trial_of: trialOf },
      }, signal),
    [shown, state, name, trialOf],
    isBusy ? ACTIVE_INTERVAL_MS : IDLE_INTERVAL_MS,
  );
  useEffect(() => {
    if (data !== undefined) setIsBusy(data.runs.some(isActive));
  }, [data]);
  const isFiltered = state !== "" || name !== "" || trialOf !== "";
  const runs = data && sorted(data.runs, order);
  const latest = data?.runs[0];
  return (
    <>
      <Heading
        title={trialOf === "" ? "Runs" : "Trials"}
        note={trialOf === ""
          ? "Every training run of this server, the newest first"
          : "Runs that try settings for another, the newest first"}
        {...trialOf !== "" && { back: { href: href(["runs", trialOf]), name: "The run" } }}
      >
        {latest !== undefined && (
          <a class="button plain" href={href(["runs", "latest"])}>
            <Icon name="play" />
            <span>Follow the latest</span>
          </a>
        )}
        <a class="button primary" href={href(["new"])}>
          <Icon name="plus" />
          <span>New run</span>
        </a>
      </Heading>
      <div class="toolbar">
        <Choice<State>
          label="State"
          options={STATES}
          value={state}
          onChange={(state) => setParameters({ state })}
        />
        <Search label="Name" value={name} onInput={(name) => setParameters({ name })} />
        {chosen.length > 0 && (
          <div class="toolbar-end">
            <span class="soft small">{chosen.length} chosen</span>
            <Button kind="quiet" onClick={() => setChosen([])}>Clear</Button>
            <Button
              icon="compare"
              disabled={chosen.length < 2}
              onClick={() => go(["compare"], { runs: chosen.join(",") })}
            >
              Compare
            </Button>
          </div>
        )}
      </div>
      {error !== undefined && runs === undefined && <Failure error={error} retry={reload} />}
      {error === undefined && runs === undefined && <Loading rows={6} />}
      {runs?.length === 0 && (isFiltered ? <NothingFound /> : <NoRuns />)}
      {runs !== undefined && runs.length > 0 && (
        <RunTable
          runs={runs}
          order={order}
          chosen={chosen}
          onChoose={(id) =>
            setChosen((before) =>
              before.includes(id)
                ? before.filter((it) => it !== id)
                : [...before, id].slice(-MAX_COMPARED)
            )}
        />
      )}
      {data !== undefined && data.next && (
        <ShowMore onClick={() => setShown(shown + PAGE)}>
          {order !== "" && (
            <span class="soft small">sorted among the {data.runs.length} shown</span>
          )}
        </ShowMore>
      )}
    </>
  );
}

function RunTable(
  { runs, order, chosen, onChoose }: {
    runs: readonly Run[];
    order: string;
    chosen: readonly string[];
    onChoose: (id: string) => void;
  },
) {
  const header = (key: string, name: string, kind = "") => {
    const direction = order === key ? "ascending" : order === `-${key}` ? "descending" : "none";
    const next = order === `-${key}` ? key : order === key ? "" : `-${key}`;
    return (
      <th scope="col" class={kind} aria-sort={direction}>
        <button type="button" class="sort" onClick={() => setParameters({ sort: next })}>
          {name}
          <i aria-hidden="true">
            {direction === "ascending" ? "↑" : direction === "descending" ? "↓" : ""}
          </i>
        </button>
      </th>
    );
  };
  return (
    <div class="table-box">
      <table class="table runs">
        <caption class="hidden">Runs</caption>
        <thead>
          <tr>
            <th scope="col" class="check">
              <span class="hidden">Compare</span>
            </th>
            {header("name", "Name")}
            {header("state", "State")}
            <th scope="col" class="middle-only">Progress</th>
            {header("best", "Best", "number")}
            {header("dataset", "Data", "wide-only")}
            <th scope="col" class="wide-only">Base</th>
            <th scope="col" class="wide-only">Created</th>
            {header("time", "Time", "number wide-only")}
          </tr>
        </thead>
        <tbody>
          {runs.map((run) => {
            const best = bestFigure(run);
            const seconds = secondsOf(run);
            return (
              <tr key={run.id} class={chosen.includes(run.id) ? "chosen" : ""}>
                <td class="check">
                  <input
                    type="checkbox"
                    aria-label={`Compare ${run.name}`}
                    checked={chosen.includes(run.id)}
                    onChange={() => onChoose(run.id)}
                  />
                </td>
                <td>
                  <a class="row-link" href={href(["runs", run.id])}>
                    <bdi>{shortName(run)}</bdi>
                  </a>
                  {run.read_only === true && <div class="soft small">command line</div>}
                </td>
                <td>
                  <StateBadge run={run} />
                  <div class="narrow-only">
                    {isActive(run) && <RunProgress run={run} />}
                  </div>
                </td>
                <td class="middle-only">
                  <RunProgress run={run} />
                </td>
                <td class="number">
                  {best === undefined
                    ? <span class="soft">–</span>
                    : (
                      <span title={`${best.name} on the ${best.split} file`}>
                        <strong>{best.value}</strong> <span class="soft small">{best.split}</span>
                      </span>
                    )}
                </td>
                <td class="wide-only">
                  <bdi>{run.dataset}</bdi>
                </td>
                <td class="wide-only">
                  <bdi>{String(run.settings["model"])}</bdi>{" "}
                  <span class="soft small">{String(run.settings["mode"])}</span>
                </td>
                <td class="wide-only">
                  <When time={run.created_at} />
                </td>
                <td class="number wide-only">{seconds === undefined ? "–" : duration(seconds)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function NoRuns() {
  return (
    <Empty icon="runs" title="Nothing has been trained here yet">
      <p>
        Begin with the sample that comes with Graft, 2,400 titles in six classes: it takes a minute
        or two.
      </p>
      <TrainOnSample />
      <p class="soft">Or from a terminal:</p>
      <Command
        text={`curl -d '{"dataset": "sample", "name": "titles"}' ${location.origin}/v1/runs`}
      />
    </Empty>
  );
}

function NothingFound() {
  return (
    <Empty icon="search" title="No matching runs">
      <p>
        <Button onClick={() => setParameters({ state: "", name: "" })}>Show all runs</Button>
      </p>
    </Empty>
  );
}

/** The name, or the first part of the id that the server has given to a run without one. */
export function shortName({ id, name }: { id: string; name: string }): string {
  return name === id && UUID.test(id) ? id.slice(0, 8) : name;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The names of some runs; equal ones are distinguished by id. */
export function distinctNames(runs: readonly { id: string; name: string }[]): string[] {
  const names = runs.map(shortName);
  return names.map((name, i) =>
    names.filter((other) => other === name).length === 1
      ? name
      : `${name} ${runs[i]!.id.slice(0, 4)}`
  );
}

/** How long a run has trained. */
export function secondsOf({ started_at, finished_at }: Run): number | undefined {
  if (started_at === undefined) return undefined;
  const end = finished_at === undefined ? Date.now() : new Date(finished_at).getTime();
  return (end - new Date(started_at).getTime()) / 1000;
}

function sorted(runs: readonly Run[], order: string): readonly Run[] {
  const key = ORDERS[order.replace(/^-/, "")];
  if (key === undefined) return runs;
  const sign = order.startsWith("-") ? -1 : 1;
  return runs.toSorted((a, b) => {
    const [left, right] = [key(a), key(b)];
    return left < right ? -sign : left > right ? sign : 0;
  });
}

/** The newest runs, as many as the table shows. */
async function runsUpTo(
  count: number,
  filter: { state?: Exclude<State, "">; name?: string; trial_of?: string },
  signal: AbortSignal,
) {
  const runs: Run[] = [];
  let after: string | undefined;
  while (true) {
    const limit = Math.min(200, count - runs.length);
    const query = { ...filter, limit, ...after !== undefined && { after } };
    const page = await answered(client.GET("/v1/runs", { params: { query }, signal }));
    runs.push(...page.runs);
    if (page.next === null || runs.length >= count) return { runs, next: page.next };
    after = page.next;
  }
}
