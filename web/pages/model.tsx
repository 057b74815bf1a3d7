/**
 * One model: its versions, aliases and canaries.
 *
 * @module
 */
import { useState } from "preact/hooks";
import { answered, client, type Schemas } from "../api.ts";
import { asError, useQuery } from "../use_query.ts";
import {
  Button,
  Card,
  Command,
  Confirm,
  Failure,
  Heading,
  Loading,
  When,
} from "../components/basics.tsx";
import { Icon } from "../components/icon.tsx";
import { Aliases } from "../components/model/aliases.tsx";
import { bytes, count, digits } from "../format.ts";
import { go, href } from "../route.ts";

const INTERVAL_MS = 3000;

type Model = Schemas["Model"];
type Version = Model["versions"][number];

/** The view of one model. */
export function ModelPage({ name }: { name: string }) {
  const { data: model, error, reload } = useQuery(
    (signal) => answered(client.GET("/v1/models/{name}", { params: { path: { name } }, signal })),
    [name],
    INTERVAL_MS,
  );
  const [toDelete, setToDelete] = useState<string>();
  if (model === undefined) {
    return (
      <>
        <Heading title={<bdi>{name}</bdi>} back={{ href: href(["models"]), name: "Models" }} />
        {error === undefined ? <Loading /> : <Failure error={error} retry={reload} />}
      </>
    );
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
          title={it.loaded ? "Free its memory" : "Load it now"}
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

/** `@1 and @2` */
function versionNames(versions: Model["current"]): string {
  return versions.map(({ version }) => `@${version}`).join(" and ");
}
