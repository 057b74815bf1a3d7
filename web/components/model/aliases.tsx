/**
 * The aliases of a model, and the shares of its versions in them.
 *
 * @module
 */
import { useEffect, useState } from "preact/hooks";
import { answered, client, type Schemas } from "../../api.ts";
import { asError } from "../../use_query.ts";
import { Button, Card, Field } from "../basics.tsx";
import { count, digits, percent } from "../../format.ts";

const DEFAULT_ALIAS = "default";
/** The alias that answers requests that name only the model. */
const CURRENT_ALIAS = "current";

type Model = Schemas["Model"];
type Version = Model["versions"][number];

/** The aliases. */
export function Aliases(
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
