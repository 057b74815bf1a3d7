/**
 * The models: their versions, aliases and canaries, and their outputs and inputs.
 *
 * @module
 */
import { useEffect, useState } from "preact/hooks";
import { answered, client, type Schemas } from "../api.ts";
import { asError, useAsked } from "../asked.ts";
import {
  Button,
  Card,
  Command,
  Confirm,
  Empty,
  Failure,
  Field,
  Heading,
  Loading,
  When,
} from "../components/basics.tsx";
import { Icon } from "../components/icon.tsx";
import { bytes, count, digits, percent } from "../format.ts";
import { go, href, route, setParameters } from "../route.ts";

const INTERVAL_MS = 3000;
const PAGE = 100;
const DEFAULT_ALIAS = "default";
/** The alias that answers requests that name only the model. */
const CURRENT_ALIAS = "current";

type Model = Schemas["Model"];
type Version = Model["versions"][number];

/** The view of all models. */
export function ModelsPage() {
  const name = route.value.parameters.get("name") ?? "";
  const [shown, setShown] = useState(PAGE);
  const { data, error, reload } = useAsked(
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
          <label class="search">
            <Icon name="search" />
            <span class="hidden">Name</span>
            <input
              type="search"
              placeholder="Name"
              value={name}
              onInput={({ currentTarget }) => setParameters({ name: currentTarget.value })}
            />
          </label>
        </div>
      )}
      {data === undefined &&
        (error === undefined ? <Loading /> : <Failure error={error} retry={reload} />)}
      {data?.models.length === 0 &&
        (name === "" ? <NoModels /> : (
          <Empty icon="search" title="No model is called so">
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
        <p class="more">
          <Button onClick={() => setShown(shown + PAGE)}>Show more</Button>
        </p>
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

/** `@1 and @2` */
function versionNames(versions: Model["current"]): string {
  return versions.map(({ version }) => `@${version}`).join(" and ");
}

function NoModels() {
  return (
    <Empty icon="models" title="There is no model yet">
      <p>A run that succeeds becomes a model, under the run's name.</p>
      <p>
        <a class="button primary" href={href(["new"], { dataset: "sample", name: "titles" })}>
          <Icon name="play" />
          <span>Train on the sample</span>
        </a>
      </p>
      <p class="soft">Or serve models that you have, each in a folder of its own:</p>
      <Command text="deno task serve --models my_models" />
    </Empty>
  );
}

/** The view of one model. */
export function ModelPage({ name }: { name: string }) {
  const { data: model, error, reload } = useAsked(
    (signal) => answered(client.GET("/v1/models/{name}", { params: { path: { name } }, signal })),
    [name],
    INTERVAL_MS,
  );
  const [toDelete, setToDelete] = useState<string>();
  if (model === undefined) {
    return error === undefined ? <Loading /> : <Failure error={error} retry={reload} />;
  }
  const { versions, current, aliases } = model;
  return (
    <>
      <Heading
        title={<bdi>{name}</bdi>}
        note={versions.length === 1 ? "One version" : `${count(versions.length)} versions`}
        back={{ href: href(["models"]), name: "Models" }}
      >
        <a class="button primary" href={href(["playground"], { models: name })}>
          <Icon name="playground" />
          <span>Try a text</span>
        </a>
        <Button icon="trash" kind="quiet" onClick={() => setToDelete(name)}>
          Serve it no more
        </Button>
      </Heading>
      <Card
        title="Versions"
        note={`A request that names only the model gets ${versionNames(current)}`}
        flush
      >
        <div class="table-box">
          <table class="table plain">
            <thead>
              <tr>
                <th scope="col">Version</th>
                <th scope="col">Trained</th>
                <th scope="col" class="number">Texts</th>
                <th scope="col" class="number middle-only">Mean time</th>
                <th scope="col" class="number middle-only">Failures</th>
                <th scope="col" class="number wide-only">Memory</th>
                <th scope="col" class="wide-only">Last used</th>
                <th scope="col">
                  <span class="hidden">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {versions.toReversed().map((version) => (
                <VersionRow
                  key={version.version}
                  name={name}
                  version={version}
                  isOnly={versions.length === 1}
                  reload={reload}
                  onDelete={() => setToDelete(`${name}@${version.version}`)}
                />
              ))}
            </tbody>
          </table>
        </div>
      </Card>
      <Aliases name={name} versions={versions} aliases={aliases} reload={reload} />
      <Card title="From a program">
        <Command
          text={`curl -d '${
            JSON.stringify({ model: name, inputs: ["A duet about a recipe"] }).replaceAll(
              "'",
              "'\\''",
            )
          }' ${location.origin}/v1/predict`}
        />
      </Card>
      {toDelete !== undefined && (
        <Removal
          reference={toDelete}
          runs={versions
            .filter((it) => toDelete === name || toDelete === `${name}@${it.version}`)
            .map(({ run }) => run)}
          onClose={() => setToDelete(undefined)}
          onDone={() => {
            if (toDelete === name) go(["models"]);
            else reload();
          }}
        />
      )}
    </>
  );
}

/** Asks whether to stop serving a model, or one version, and whether to delete its files. */
function Removal(
  { reference, runs, onClose, onDone }: {
    reference: string;
    /** The runs of the model's versions; `null` for a version that no run of the server trained. */
    runs: readonly (string | null)[];
    onClose: () => void;
    onDone: () => void;
  },
) {
  const [withFiles, setWithFiles] = useState(false);
  const own = runs.filter((run) => run !== null);
  return (
    <Confirm
      title={`Serve ${reference} no more?`}
      action={withFiles ? "Delete it with its files" : "Serve it no more"}
      onClose={onClose}
      onConfirm={async () => {
        const params = { path: { name: reference } };
        await answered(client.DELETE("/v1/models/{name}", { params }));
        for (const id of withFiles ? own : []) {
          await answered(client.DELETE("/v1/runs/{id}", { params: { path: { id } } }));
        }
        onDone();
      }}
    >
      <p>Requests that name it are refused from now on.</p>
      {own.length > 0 && (
        <label class="check-label">
          <input
            type="checkbox"
            checked={withFiles}
            onChange={({ currentTarget }) => setWithFiles(currentTarget.checked)}
          />
          Delete {own.length === 1 ? "its run" : `its ${count(own.length)} runs`}{" "}
          too: model, curves and checkpoints, for good
        </label>
      )}
      {own.length < runs.length && (
        <p class="soft small">
          Files that no run of this server made stay where they are, such as those of the command
          line.
        </p>
      )}
    </Confirm>
  );
}

function VersionRow(
  { name, version: it, isOnly, reload, onDelete }: {
    name: string;
    version: Version;
    isOnly: boolean;
    reload: () => void;
    onDelete: () => void;
  },
) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error>();
  const reference = `${name}@${it.version}`;
  const move = async (action: "load" | "unload") => {
    setBusy(true);
    setError(undefined);
    try {
      const params = { path: { model: reference } };
      await answered(client.POST(`/v2/repository/models/{model}/${action}`, { params }));
      reload();
    } catch (error) {
      setError(asError(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <tr>
      <th scope="row">
        <strong>@{it.version}</strong>
      </th>
      <td>
        {it.run === null ? <When time={it.finished_at} /> : (
          <a href={href(["runs", it.run])}>
            <When time={it.finished_at} />
          </a>
        )}
      </td>
      <td class="number">{count(it.texts)}</td>
      <td class="number middle-only">{it.mean_ms === null ? "–" : `${digits(it.mean_ms)} ms`}</td>
      <td class="number middle-only">{count(it.failures)}</td>
      <td class="number wide-only">{it.bytes === null ? "–" : bytes(it.bytes)}</td>
      <td class="wide-only">
        {it.last_used_at === null ? "–" : <When time={it.last_used_at} />}
      </td>
      <td class="row-actions">
        <Button
          kind="quiet"
          busy={busy}
          title={it.loaded ? "Free its memory" : "Have it in memory before it is asked for"}
          onClick={() => void move(it.loaded ? "unload" : "load")}
        >
          {it.loaded ? "Unload" : "Load"}
        </Button>
        {!isOnly && (
          <Button kind="quiet" icon="trash" onClick={onDelete}>
            <span class="hidden">Serve {reference} no more</span>
          </Button>
        )}
        {error !== undefined && <p class="field-error" role="alert">{error.message}</p>}
      </td>
    </tr>
  );
}

function Aliases(
  { name, versions, aliases, reload }: {
    name: string;
    versions: readonly Version[];
    aliases: Model["aliases"];
    reload: () => void;
  },
) {
  const [isAdding, setIsAdding] = useState(false);
  const entries = Object.entries(aliases);
  return (
    <Card
      title="Aliases"
      note={
        <>
          <code>{name}:ALIAS</code>{" "}
          stands for a version, or divides its requests among several. The alias{" "}
          <code>default</code> answers requests that name no model.
        </>
      }
      actions={!isAdding && (
        <Button
          icon="plus"
          onClick={() => setIsAdding(true)}
        >
          New alias
        </Button>
      )}
    >
      {isAdding && (
        <NewAlias
          name={name}
          newest={versions.at(-1)!.version}
          onDone={() => {
            setIsAdding(false);
            reload();
          }}
        />
      )}
      {entries.length === 0 && !isAdding && (
        <p class="soft">
          There is none. With an alias <code>stable</code>{" "}
          clients keep their version while you try a newer one on a part of the requests.
        </p>
      )}
      {entries.map(([alias, weights]) => (
        <AliasEditor
          key={`${alias} ${JSON.stringify(weights)}`}
          name={name}
          alias={alias}
          versions={versions}
          weights={weights}
          reload={reload}
        />
      ))}
    </Card>
  );
}

function NewAlias(
  { name, newest, onDone }: { name: string; newest: number; onDone: () => void },
) {
  const [alias, setAlias] = useState("stable");
  const [error, setError] = useState<Error>();
  const add = async () => {
    try {
      const params = { path: { name, alias } };
      const body = { version: newest };
      await answered(client.PUT("/v1/models/{name}/aliases/{alias}", { params, body }));
      onDone();
    } catch (error) {
      setError(asError(error));
    }
  };
  return (
    <form
      class="inline-form"
      onSubmit={(event) => {
        event.preventDefault();
        void add();
      }}
    >
      <Field id="new-alias" label="Name" error={error?.message}>
        <input
          id="new-alias"
          value={alias}
          autocomplete="off"
          onInput={({ currentTarget }) => setAlias(currentTarget.value)}
        />
      </Field>
      <div class="actions">
        <Button type="submit" kind="primary">Point it at @{newest}</Button>
        <Button kind="quiet" onClick={onDone}>Cancel</Button>
      </div>
    </form>
  );
}

/** The shares of an alias, in percent, as sliders. */
function AliasEditor(
  { name, alias, versions, weights, reload }: {
    name: string;
    alias: string;
    versions: readonly Version[];
    weights: Model["aliases"][string];
    reload: () => void;
  },
) {
  const total = sum(weights, ({ weight }) => weight);
  const stored = new Map(
    weights.map(({ version, weight }) => [version, Math.round(1000 * weight / total) / 10]),
  );
  const [shares, setShares] = useState(stored);
  const [error, setError] = useState<Error>();
  useEffect(() => setError(undefined), [shares]);
  const isChanged = versions.some(({ version }) =>
    (shares.get(version) ?? 0) !== (stored.get(version) ?? 0)
  );
  const all = sum([...shares.values()], (share) => share);
  const act = async (request: Promise<unknown>) => {
    try {
      await request;
      reload();
    } catch (error) {
      setError(asError(error));
    }
  };
  const params = { path: { name, alias } };
  const save = () => {
    const body = {
      versions: [...shares].flatMap(([version, weight]) => weight > 0 ? [{ version, weight }] : []),
    };
    return act(answered(client.PUT("/v1/models/{name}/aliases/{alias}", { params, body })));
  };
  const remove = () =>
    act(answered(client.DELETE("/v1/models/{name}/aliases/{alias}", { params })));
  return (
    <fieldset class="alias">
      <legend>
        <span class="chip">:{alias}</span>
        {alias === DEFAULT_ALIAS && (
          <span class="soft small">answers requests that name no model</span>
        )}
        {alias === CURRENT_ALIAS && (
          <span class="soft small">answers requests that name the model alone</span>
        )}
      </legend>
      {versions.toReversed().map(({ version, texts, mean_ms, failures }) => {
        const id = `share-${alias}-${version}`;
        const share = shares.get(version) ?? 0;
        return (
          <div class="share" key={version}>
            <label for={id}>@{version}</label>
            <input
              id={id}
              type="range"
              min="0"
              max="100"
              step="1"
              value={share}
              onInput={({ currentTarget }) =>
                setShares(withShare(shares, versions, version, Number(currentTarget.value)))}
            />
            <output for={id}>{percent(all === 0 ? 0 : share / all)}</output>
            <span class="soft small">
              {count(texts)} texts
              {mean_ms !== null && `, ${digits(mean_ms)} ms`}
              {failures > 0 && `, ${count(failures)} failures`}
            </span>
          </div>
        );
      })}
      {error !== undefined && <p class="field-error" role="alert">{error.message}</p>}
      <div class="actions">
        <Button
          kind={isChanged ? "primary" : "plain"}
          disabled={!isChanged}
          onClick={() => void save()}
        >
          Save the shares
        </Button>
        {isChanged && <Button kind="quiet" onClick={() => setShares(stored)}>Undo</Button>}
        <Button kind="quiet" icon="trash" onClick={() => void remove()}>Take it away</Button>
      </div>
    </fieldset>
  );
}

/** Changes one share; the others divide the rest in the same proportion. */
function withShare(
  shares: ReadonlyMap<number, number>,
  versions: readonly Version[],
  changed: number,
  share: number,
): Map<number, number> {
  const others = versions.map(({ version }) => version).filter((version) => version !== changed);
  if (others.length === 0) return new Map([[changed, 100]]);
  const before = sum(others, (version) => shares.get(version) ?? 0);
  const rest = 100 - share;
  const entries = others.map((version, i): [number, number] => {
    const part = before === 0
      ? (i === others.length - 1 ? 1 : 0)
      : (shares.get(version) ?? 0) / before;
    return [version, Math.round(10 * rest * part) / 10];
  });
  return new Map([...entries, [changed, share]]);
}

function sum<Item>(items: readonly Item[], value: (item: Item) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
