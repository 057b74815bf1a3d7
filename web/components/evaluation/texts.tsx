/**
 * The texts behind the figures of an evaluation, to be searched, sorted and exported.
 *
 * @module
 */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { addressOf, answered, client } from "../../api.ts";
import { useQuery } from "../../use_query.ts";
import { count } from "../../format.ts";
import type { paths } from "../../openapi.ts";
import { route, setParameters } from "../../route.ts";
import { Button, Failure, Search } from "../basics.tsx";
import { Icon } from "../icon.tsx";
import type { ProblemType } from "../metrics.ts";
import { RowTable } from "./row_table.tsx";

const PAGE = 50;

/** A request for rows. */
export type RowQuery = NonNullable<
  paths["/v1/evaluations/{id}/rows"]["get"]["parameters"]["query"]
>;

type Order = NonNullable<RowQuery["order"]>;

/** The orders of texts whose predictions have a score. */
export const SCORE_ORDERS: readonly (readonly [Order, string])[] = [
  ["highest_score", "surest first"],
  ["lowest_score", "least sure first"],
  ["file", "as in the file"],
];

/** Shows some of the texts, by the parameters of the address, and scrolls to them. */
export function showTexts(parameters: Record<string, string>): void {
  setParameters(parameters);
  document.getElementById("texts")?.scrollIntoView({ block: "start", behavior: "smooth" });
}

/** The texts. */
export function Texts(
  { id, problemType, orders, query: own, children }: {
    id: string;
    problemType: ProblemType;
    /** The orders that make sense, the first by default. */
    orders: readonly (readonly [Order, string])[];
    /** The part of the request that the choices of the kind of problem make. */
    query: RowQuery;
    /** Those choices. */
    children: ComponentChildren;
  },
) {
  const { parameters } = route.value;
  const get = (name: string) => parameters.get(name) ?? "";
  const order = orders.map(([it]) => it).find((it) => it === get("order")) ?? orders[0]![0];
  const seen = (["true", "false"] as const).find((it) => it === get("seen"));
  const [shown, setShown] = useState(PAGE);
  const query: RowQuery = {
    order,
    ...get("text") !== "" && { text: get("text") },
    ...seen !== undefined && { seen },
    ...own,
  };
  const { data, error, reload } = useQuery(
    (signal) =>
      answered(client.GET("/v1/evaluations/{id}/rows", {
        params: { path: { id }, query: { ...query, limit: shown } },
        signal,
      })),
    [id, query, shown],
  );
  const given = Object.entries(query).map(([key, value]) => [key, String(value)]);
  const csv = addressOf(`/v1/evaluations/${id}/rows.csv?${new URLSearchParams(given)}`);
  return (
    <section class="card flush" id="texts">
      <div class="card-title">
        <div>
          <h2>Texts</h2>
          <p class="soft small" role="status">
            {data === undefined ? " " : `${count(data.total)} matching`}
          </p>
        </div>
        <a class="button plain" href={csv} download>
          <Icon name="download" />
          <span>CSV</span>
        </a>
      </div>
      <div class="toolbar inside">
        {children}
        <select
          aria-label="Seen in training"
          value={seen ?? ""}
          onChange={({ currentTarget }) => setParameters({ seen: currentTarget.value })}
        >
          <option value="">seen or not</option>
          <option value="false">not seen in training</option>
          <option value="true">seen in training</option>
        </select>
        <select
          aria-label="Order"
          value={order}
          onChange={({ currentTarget }) => setParameters({ order: currentTarget.value })}
        >
          {orders.map(([it, name]) => <option key={it} value={it}>{name}</option>)}
        </select>
        <Search
          label="In the text"
          value={get("text")}
          onInput={(text) => setParameters({ text })}
        />
      </div>
      {error !== undefined && (
        <div class="inside">
          <Failure error={error} retry={reload} />
        </div>
      )}
      {data !== undefined && <RowTable rows={data.rows} problemType={problemType} />}
      {data !== undefined && data.rows.length < data.total && (
        <p class="more inside">
          <Button onClick={() => setShown(shown + 4 * PAGE)}>Show more</Button>
        </p>
      )}
    </section>
  );
}
