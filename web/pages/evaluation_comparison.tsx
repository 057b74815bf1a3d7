/**
 * Two models measured on the same texts.
 *
 * @module
 */
import { useState } from "preact/hooks";
import { answered, client } from "../api.ts";
import { useQuery } from "../use_query.ts";
import { Button, Card, Choice, Failure, Figures, Heading, Loading } from "../components/basics.tsx";
import { RowTable } from "../components/evaluation/row_table.tsx";
import { count, probability } from "../format.ts";
import { href, route, setParameters } from "../route.ts";

const PAGE = 50;

/** The view of two evaluations beside each other. */
export function EvaluationComparisonPage() {
  const { parameters } = route.value;
  const [first, second] = [parameters.get("first") ?? "", parameters.get("second") ?? ""];
  const outcome = parameters.get("outcome") === "first_only" ? "first_only" : "second_only";
  const [shown, setShown] = useState(PAGE);
  const { data, error, reload } = useQuery(async (signal) => {
    const load = (id: string) =>
      answered(client.GET("/v1/evaluations/{id}", { params: { path: { id } }, signal }));
    const [a, b, comparison] = await Promise.all([
      load(first),
      load(second),
      answered(client.GET("/v1/evaluations/{id}/comparison", {
        params: { path: { id: first }, query: { with: second, outcome, limit: shown } },
        signal,
      })),
    ]);
    return { a, b, comparison };
  }, [first, second, outcome, shown]);
  const heading = (
    <Heading
      title="Two models, the same texts"
      back={{ href: href(["evaluations"]), name: "Evaluations" }}
      note={data === undefined ? undefined : (
        <>
          the {data.a.split} file of <bdi>{data.a.dataset}</bdi>
        </>
      )}
    />
  );
  if (data === undefined) {
    return (
      <>
        {heading}
        {error === undefined ? <Loading rows={6} /> : <Failure error={error} retry={reload} />}
      </>
    );
  }
  const { a, b, comparison } = data;
  const { both, first_only, second_only, neither, p } = comparison;
  return (
    <>
      {heading}
      <Card
        title={p < 0.05 ? "They differ by more than chance" : "They may be equally good"}
        note={
          <>
            McNemar's exact test: two equal models differ as much in {probability(p)} of cases
          </>
        }
      >
        <Figures
          figures={[
            ["Both are right", count(both)],
            [`Only the first, ${a.model}`, count(first_only)],
            [`Only the second, ${b.model}`, count(second_only)],
            ["Neither is", count(neither)],
          ]}
        />
      </Card>
      <section class="card flush">
        <div class="card-title">
          <h2>Where they part</h2>
          <Choice
            label="Which texts"
            options={[
              ["second_only", `Only the second is right (${count(second_only)})`],
              ["first_only", `Only the first is right (${count(first_only)})`],
            ]}
            value={outcome}
            onChange={(outcome) => setParameters({ outcome })}
          />
        </div>
        <RowTable rows={comparison.rows} problemType={a.problem_type!} />
        {comparison.rows.length < comparison[outcome] && (
          <p class="more inside">
            <Button onClick={() => setShown(shown + 4 * PAGE)}>Show more</Button>
          </p>
        )}
      </section>
    </>
  );
}
