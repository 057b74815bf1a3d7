/**
 * The models of the server.
 *
 * @module
 */
import { useState } from "preact/hooks";
import { answered, client, type Schemas } from "../api.ts";
import { useQuery } from "../use_query.ts";
import {
  Button,
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
import { bytes, count, digits } from "../format.ts";
import { href, route, setParameters } from "../route.ts";
import { TrainOnSample } from "./train_on_sample.tsx";

const INTERVAL_MS = 3000;
const PAGE = 100;

type Model = Schemas["Model"];

/** The view of all models. */
export function ModelsPage() {
  const name = route.value.parameters.get("name") ?? "";
  const [shown, setShown] = useState(PAGE);
  const { data, error, reload } = useQuery(
    (signal) =>
      answered(client.GET("/v1/models", {
        params: { query: { limit: shown, ...name !== "" && { name } } },
        signal,
      })),
    [name, shown],
    INTERVAL_MS,
  );
  return (
    <>
      <Heading title="Models" note="The classifiers that this server answers with">
        {data !== undefined && data.models.length > 0 && (
          <a class="button primary" href={href(["playground"])}>
            <Icon name="playground" />
            <span>Playground</span>
          </a>
        )}
      </Heading>
      {(name !== "" || (data?.models.length ?? 0) > 8) && (
        <div class="toolbar">
          <Search label="Name" value={name} onInput={(name) => setParameters({ name })} />
        </div>
      )}
      {data === undefined &&
        (error === undefined ? <Loading /> : <Failure error={error} retry={reload} />)}
      {data?.models.length === 0 &&
        (name === "" ? <NoModels /> : (
          <Empty icon="search" title="No matching models">
            <Button onClick={() => setParameters({ name: "" })}>Show all models</Button>
          </Empty>
        ))}
      {data !== undefined && data.models.length > 0 && (
        <div class="table-box">
          <table class="table rows">
            <caption class="hidden">Models</caption>
            <thead>
              <tr>
                <th scope="col">Name</th>
                <th scope="col">Newest</th>
                <th scope="col" class="middle-only">Aliases</th>
                <th scope="col" class="wide-only">In memory</th>
                <th scope="col" class="number">Texts answered</th>
                <th scope="col" class="number wide-only">Mean time</th>
                <th scope="col" class="wide-only">Last used</th>
              </tr>
            </thead>
            <tbody>{data.models.map((model) => <ModelRow key={model.name} model={model} />)}</tbody>
          </table>
        </div>
      )}
      {data !== undefined && data.next !== null && (
        <ShowMore onClick={() => setShown(shown + PAGE)} />
      )}
    </>
  );
}

function ModelRow({ model: { name, versions, aliases } }: { model: Model }) {
  const newest = versions.at(-1)!;
  const inMemory = versions.filter(({ loaded }) => loaded);
  const texts = sum(versions, ({ texts }) => texts);
  const lastUsed = inMemory.map((it) => it.last_used_at!).sort().at(-1);
  const timed = versions.filter(({ mean_ms }) => mean_ms !== null);
  return (
    <tr>
      <td>
        <a class="row-link" href={href(["models", name])}>
          <bdi>{name}</bdi>
        </a>
      </td>
      <td>
        @{newest.version}{" "}
        <span class="soft small">
          <When time={newest.finished_at} />
        </span>
      </td>
      <td class="middle-only">
        {Object.keys(aliases).length === 0
          ? <span class="soft">–</span>
          : Object.keys(aliases).map((alias) => <span key={alias} class="chip">:{alias}</span>)}
      </td>
      <td class="wide-only">
        {inMemory.length === 0
          ? <span class="soft">no</span>
          : bytes(sum(inMemory, (version) => version.bytes ?? 0))}
      </td>
      <td class="number">{count(texts)}</td>
      <td class="number wide-only">
        {timed.length === 0
          ? <span class="soft">–</span>
          : `${digits(sum(timed, (it) => it.mean_ms!) / timed.length)} ms`}
      </td>
      <td class="wide-only">
        {lastUsed === undefined ? <span class="soft">–</span> : <When time={lastUsed} />}
      </td>
    </tr>
  );
}

function NoModels() {
  return (
    <Empty icon="models" title="There is no model yet">
      <p>A run that succeeds becomes a model, under the run's name.</p>
      <TrainOnSample />
      <p class="soft">Or serve models that you have, each in a folder of its own:</p>
      <Command text="deno task serve --models my_models" />
    </Empty>
  );
}

function sum<Item>(items: readonly Item[], value: (item: Item) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
