/**
 * The data sets, and the preview of a file before it becomes one.
 *
 * @module
 */
import { useEffect, useState } from "preact/hooks";
import { addressOf, answered, AnswerError, client, type Schemas } from "../api.ts";
import { asError, useAsked } from "../asked.ts";
import { Audit } from "../components/audit.tsx";
import {
  Button,
  Card,
  Command,
  Confirm,
  Failure,
  Field,
  Heading,
  Loading,
  Note,
  When,
} from "../components/basics.tsx";
import { Icon } from "../components/icon.tsx";
import { bytes, count } from "../format.ts";
import { go, href } from "../route.ts";

const SAMPLE = "sample";
/** The part of a file that is enough to find its columns. */
const HEAD_BYTES = 100_000;

/** Media types by the extension of a file. */
const MEDIA_TYPES: [RegExp, string][] = [
  [/\.(tsv|tab)$/i, "text/tab-separated-values"],
  [/\.(jsonl|ndjson|json)$/i, "application/jsonl"],
  [/$/, "text/csv"],
];

type Dataset = Schemas["Dataset"];

/** The view of all data sets. */
export function DataPage() {
  const { data, error, reload } = useAsked(
    (signal) => answered(client.GET("/v1/datasets", { signal })),
    [],
  );
  const [file, setFile] = useState<File>();
  if (file !== undefined) return <Upload file={file} onClose={() => setFile(undefined)} />;
  return (
    <>
      <Heading title="Data" note="Labelled texts, to train on and to measure with" />
      <DropZone onFile={setFile} />
      {data === undefined &&
        (error === undefined ? <Loading /> : <Failure error={error} retry={reload} />)}
      {data !== undefined && (
        <div class="table-box">
          <table class="table rows">
            <caption class="hidden">Data sets</caption>
            <thead>
              <tr>
                <th scope="col">Name</th>
                <th scope="col" class="number">Texts</th>
                <th scope="col" class="number middle-only">Classes</th>
                <th scope="col" class="wide-only">Leakage</th>
                <th scope="col" class="middle-only">Came</th>
                <th scope="col">
                  <span class="hidden">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>{data.datasets.map((it) => <DatasetRow key={it.name} dataset={it} />)}</tbody>
          </table>
        </div>
      )}
      <Card title="From a terminal">
        <Command
          text={`curl --data-binary @tickets.csv -H 'Content-Type: text/csv' '${location.origin}/v1/datasets?name=tickets&text=text&label=label'`}
        />
      </Card>
    </>
  );
}

function DatasetRow({ dataset }: { dataset: Dataset }) {
  const { name, rows, labels, leakage, created_at, problem_type } = dataset;
  return (
    <tr>
      <td>
        <a class="row-link" href={href(["data", name])}>
          <bdi>{name}</bdi>
        </a>
      </td>
      <td class="number">{count(Object.values(rows).reduce((sum, it) => sum + it, 0))}</td>
      <td class="number middle-only">
        {problem_type === "regression" ? "numbers" : count(labels.length)}
      </td>
      <td class="wide-only soft small">{leakage}</td>
      <td class="middle-only">
        {created_at === null ? <span class="soft">with Graft</span> : <When time={created_at} />}
      </td>
      <td class="row-actions">
        <a class="button quiet" href={href(["new"], { dataset: name })}>Train</a>
      </td>
    </tr>
  );
}

function DropZone({ onFile }: { onFile: (file: File) => void }) {
  const [isOver, setIsOver] = useState(false);
  return (
    <label
      class={`drop${isOver ? " over" : ""}`}
      onDragOver={(event) => {
        event.preventDefault();
        setIsOver(true);
      }}
      onDragLeave={() => setIsOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setIsOver(false);
        const file = event.dataTransfer?.files[0];
        if (file !== undefined) onFile(file);
      }}
    >
      <Icon name="data" />
      <span>
        <strong>Drop a CSV, TSV or JSON Lines file here</strong>, or choose one
      </span>
      <span class="soft small">
        You see its columns, the split and an audit before anything is saved
      </span>
      <input
        type="file"
        class="hidden"
        accept=".csv,.tsv,.tab,.jsonl,.ndjson,.json,text/csv"
        onChange={({ currentTarget }) => {
          const file = currentTarget.files?.[0];
          if (file !== undefined) onFile(file);
        }}
      />
    </label>
  );
}

type Columns = Schemas["TableColumns"];

/** The steps from a file to a data set: columns, audit, name. */
function Upload({ file, onClose }: { file: File; onClose: () => void }) {
  const type = MEDIA_TYPES.find(([end]) => end.test(file.name))![1];
  const [columns, setColumns] = useState<Columns>();
  const [text, setText] = useState("");
  const [label, setLabel] = useState("");
  const [delimiter, setDelimiter] = useState("");
  const [encoding, setEncoding] = useState("");
  const [name, setName] = useState(nameOf(file.name));
  const [audit, setAudit] = useState<Schemas["DatasetWithAudit"]>();
  const [busy, setBusy] = useState<"audit" | "save">();
  const [error, setError] = useState<Error>();
  const format = {
    ...delimiter !== "" && { delimiter },
    ...encoding !== "" && { encoding },
  };
  useEffect(() => {
    const load = async () => {
      try {
        const head = file.slice(0, HEAD_BYTES);
        const query = new URLSearchParams(format);
        const found = await send<Columns>(`/v1/datasets/columns?${query}`, head, type);
        setColumns(found);
        setText(found.text ?? "");
        setLabel(found.label ?? "");
        setError(undefined);
      } catch (error) {
        setColumns(undefined);
        setError(asError(error));
      }
    };
    void load();
  }, [file, delimiter, encoding]);
  useEffect(() => setAudit(undefined), [text, label, delimiter, encoding]);
  const act = async (step: "audit" | "save") => {
    setBusy(step);
    setError(undefined);
    try {
      const query = new URLSearchParams({ text, label, ...format });
      if (step === "audit") {
        setAudit(await send(`/v1/datasets/audit?${query}`, file, type));
      } else {
        query.set("name", name);
        await send(`/v1/datasets?${query}`, file, type);
        go(["data", name]);
      }
    } catch (error) {
      setError(asError(error));
    } finally {
      setBusy(undefined);
    }
  };
  const nameError = error instanceof AnswerError && error.field === "name" ? error.rule : undefined;
  return (
    <>
      <Heading title={<bdi>{file.name}</bdi>} note={`${bytes(file.size)}; nothing is saved yet`}>
        <Button kind="quiet" onClick={onClose}>Another file</Button>
      </Heading>
      <Card title="How it is read" note="Found in the file; say otherwise where that is wrong">
        <div class="fields">
          <FormatChoice
            id="delimiter"
            label="Between fields"
            value={delimiter}
            options={DELIMITERS}
            onChange={setDelimiter}
          />
          <FormatChoice
            id="encoding"
            label="Encoding"
            value={encoding}
            options={ENCODINGS}
            onChange={setEncoding}
          />
        </div>
      </Card>
      {columns === undefined && error === undefined && <Loading />}
      {columns !== undefined && (
        <Card title="Columns" note="Guessed from their names; choose others where that is wrong">
          <div class="fields">
            <ColumnChoice
              id="column-text"
              label="Texts"
              value={text}
              columns={columns.columns}
              onChange={setText}
            />
            <ColumnChoice
              id="column-label"
              label="Labels"
              value={label}
              columns={columns.columns}
              onChange={setLabel}
            />
          </div>
          <div class="table-box">
            <table class="table plain texts">
              <caption class="hidden">The first rows</caption>
              <thead>
                <tr>
                  {columns.columns.map((column) => (
                    <th
                      scope="col"
                      key={column}
                      class={column === text || column === label ? "mapped" : ""}
                    >
                      <bdi>{column}</bdi>
                      {column === text && " · text"}
                      {column === label && " · label"}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {columns.rows.map((row, i) => (
                  <tr key={i}>
                    {row.map((cell, j) => <td key={j} dir="auto" class="cell-text">{cell}</td>)}
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
          <div class="form-actions">
            <Button
              kind={audit === undefined ? "primary" : "plain"}
              busy={busy === "audit"}
              disabled={text === "" || label === ""}
              onClick={() =>
                void act("audit")}
            >
              {busy === "audit" ? "Splitting and auditing" : "Split and audit"}
            </Button>
          </div>
        </Card>
      )}
      {error !== undefined && nameError === undefined && (
        <Note kind="danger">{faultOf(error, file)}</Note>
      )}
      {audit !== undefined && (
        <>
          <Card
            title="Save it"
            note={`${sizes(audit)}. All rows of one text are on one side. ${audit.leakage}`}
          >
            <form
              class="inline-form"
              onSubmit={(event) => {
                event.preventDefault();
                void act("save");
              }}
            >
              <Field id="dataset-name" label="Name" error={nameError}>
                <input
                  id="dataset-name"
                  value={name}
                  autocomplete="off"
                  onInput={({ currentTarget }) => setName(currentTarget.value)}
                />
              </Field>
              <Button type="submit" kind="primary" busy={busy === "save"}>Save the data set</Button>
            </form>
          </Card>
          <Notes notes={audit.notes} />
          <Audit report={audit.audit} />
        </>
      )}
    </>
  );
}

const DELIMITERS = [
  ["", "as found"],
  [",", "comma"],
  [";", "semicolon"],
  ["tab", "tab"],
  ["|", "vertical bar"],
] as const;

const ENCODINGS = [
  ["", "as found, or UTF-8"],
  ["windows-1252", "Windows-1252, Western Europe"],
  ["windows-1250", "Windows-1250, Central Europe"],
  ["windows-1251", "Windows-1251, Cyrillic"],
  ["iso-8859-1", "ISO 8859-1, Latin 1"],
  ["utf-16le", "UTF-16, little-endian"],
  ["shift_jis", "Shift JIS, Japanese"],
  ["gb18030", "GB 18030, Chinese"],
] as const;

/** A choice of how a table is read. */
function FormatChoice(
  { id, label, value, options, onChange }: {
    id: string;
    label: string;
    value: string;
    options: readonly (readonly [value: string, name: string])[];
    onChange: (value: string) => void;
  },
) {
  return (
    <Field id={id} label={label}>
      <select id={id} value={value} onChange={({ currentTarget }) => onChange(currentTarget.value)}>
        {options.map(([value, name]) => <option key={value} value={value}>{name}</option>)}
      </select>
    </Field>
  );
}

function ColumnChoice(
  { id, label, value, columns, onChange }: {
    id: string;
    label: string;
    value: string;
    columns: readonly string[];
    onChange: (column: string) => void;
  },
) {
  return (
    <Field id={id} label={label}>
      <select
        id={id}
        value={value}
        onChange={({ currentTarget }) => onChange(currentTarget.value)}
      >
        <option value="">Choose the column</option>
        {columns.map((column) => <option key={column} value={column}>{column}</option>)}
      </select>
    </Field>
  );
}

/** The view of one data set. */
export function DatasetPage({ name }: { name: string }) {
  const { data, error, reload } = useAsked(
    (signal) => answered(client.GET("/v1/datasets/{name}", { params: { path: { name } }, signal })),
    [name],
  );
  const [isDeleting, setIsDeleting] = useState(false);
  if (data === undefined) {
    return error === undefined ? <Loading rows={8} /> : <Failure error={error} retry={reload} />;
  }
  return (
    <>
      <Heading
        title={<bdi>{name}</bdi>}
        note={`${sizes(data)}. ${data.leakage}`}
        back={{ href: href(["data"]), name: "Data" }}
      >
        <a class="button primary" href={href(["new"], { dataset: name })}>
          <Icon name="play" />
          <span>Train on it</span>
        </a>
        {name !== SAMPLE && (
          <Button kind="quiet" icon="trash" onClick={() => setIsDeleting(true)}>Delete</Button>
        )}
      </Heading>
      <Notes notes={data.notes} />
      <Audit report={data.audit} />
      {isDeleting && (
        <Confirm
          title={`Delete ${name}?`}
          action="Delete the data set"
          onClose={() => setIsDeleting(false)}
          onConfirm={async () => {
            await answered(client.DELETE("/v1/datasets/{name}", { params: { path: { name } } }));
            go(["data"]);
          }}
        >
          <p>Its files go. Models that were trained on it stay.</p>
        </Confirm>
      )}
    </>
  );
}

/** Notes on how the files were read, and on odd labels. */
function Notes({ notes }: { notes: readonly string[] }) {
  if (notes.length === 0) return null;
  return (
    <Note kind="warning">
      <ul class="notes">{notes.map((note) => <li key={note}>{note}</li>)}</ul>
    </Note>
  );
}

function sizes({ rows, labels, problem_type }: Dataset): string {
  const parts = Object.entries(rows).map(([side, rows]) => `${count(rows)} for ${side}`).join(", ");
  return problem_type === "regression" ? parts : `${count(labels.length)} classes; ${parts}`;
}

/** A message about a file, by the name that the user knows. */
function faultOf(error: Error, file: File): string {
  if (!(error instanceof AnswerError) || error.field !== "body") return error.message;
  return error.rule.replace(/'raw\.\w+'/, `'${file.name}'`);
}

/** A valid name of a data set from the name of a file. */
function nameOf(file: string): string {
  const name = file.replace(/\.[^.]*$/, "").replace(/[^A-Za-z0-9._-]+/g, "-")
    .replace(/^[^A-Za-z0-9]+/, "").slice(0, 64);
  return name === "" ? "data" : name;
}

/** Sends a file as it is. */
async function send<Answer>(path: string, body: Blob, type: string): Promise<Answer> {
  const response = await fetch(addressOf(path), {
    method: "POST",
    body,
    headers: { "Content-Type": type },
  });
  const answer = await response.json();
  if (!response.ok) throw new AnswerError(response.status, answer.error);
  return answer;
}
