/**
 * A file on its way to a data set: its columns, its audit, its name.
 *
 * @module
 */
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { addressOf, AnswerError, type Schemas } from "../api.ts";
import { asError } from "../use_query.ts";
import { Audit } from "../components/audit.tsx";
import { Button, Card, Field, Heading, Loading, Note } from "../components/basics.tsx";
import { Notes, sizes } from "../components/dataset.tsx";
import { bytes } from "../format.ts";
import { go } from "../route.ts";

/** The part of a file that is enough to find its columns. */
const HEAD_BYTES = 100_000;

/** Media types by the extension of a file. */
const MEDIA_TYPES: [RegExp, string][] = [
  [/\.(tsv|tab)$/i, "text/tab-separated-values"],
  [/\.(jsonl|ndjson|json)$/i, "application/jsonl"],
  [/$/, "text/csv"],
];

type Columns = Schemas["TableColumns"];

/** The steps from a file to a data set: columns, audit, name. */
export function Upload({ file, onClose }: { file: File; onClose: () => void }) {
  const upload = useUpload(file);
  const { columns, text, label, name, audit, busy, error, act } = upload;
  const nameError = error instanceof AnswerError && error.field === "name" ? error.rule : undefined;
  return (
    <>
      <Heading title={<bdi>{file.name}</bdi>} note={`${bytes(file.size)}; nothing is saved yet`}>
        <Button kind="quiet" onClick={onClose}>Another file</Button>
      </Heading>
      <FormatCard
        delimiter={upload.delimiter}
        encoding={upload.encoding}
        onDelimiter={upload.setDelimiter}
        onEncoding={upload.setEncoding}
      />
      {columns === undefined && error === undefined && <Loading />}
      {columns !== undefined && (
        <ColumnsCard
          columns={columns}
          text={text}
          label={label}
          onText={upload.setText}
          onLabel={upload.setLabel}
        >
          <Button
            kind={audit === undefined ? "primary" : "plain"}
            busy={busy === "audit"}
            disabled={text === "" || label === ""}
            onClick={() => void act("audit")}
          >
            {busy === "audit" ? "Splitting and auditing" : "Split and audit"}
          </Button>
        </ColumnsCard>
      )}
      {error !== undefined && nameError === undefined && (
        <Note kind="danger">{faultOf(error, file)}</Note>
      )}
      {audit !== undefined && (
        <>
          <SaveCard
            audit={audit}
            name={name}
            error={nameError}
            busy={busy === "save"}
            onName={upload.setName}
            onSave={() => void act("save")}
          />
          <Notes notes={audit.notes} />
          <Audit report={audit.audit} />
        </>
      )}
    </>
  );
}

/** A file that is read, audited and saved by the server. */
function useUpload(file: File) {
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
  return {
    ...{ columns, audit, busy, error, act },
    ...{ text, label, delimiter, encoding, name },
    ...{ setText, setLabel, setDelimiter, setEncoding, setName },
  };
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

function FormatCard(
  { delimiter, encoding, onDelimiter, onEncoding }: {
    delimiter: string;
    encoding: string;
    onDelimiter: (delimiter: string) => void;
    onEncoding: (encoding: string) => void;
  },
) {
  return (
    <Card title="How it is read" note="Detected; change it where it is wrong">
      <div class="fields">
        <FormatChoice
          id="delimiter"
          label="Between fields"
          value={delimiter}
          options={DELIMITERS}
          onChange={onDelimiter}
        />
        <FormatChoice
          id="encoding"
          label="Encoding"
          value={encoding}
          options={ENCODINGS}
          onChange={onEncoding}
        />
      </div>
    </Card>
  );
}

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

/** The choice of the columns, above the first rows; `children` are the actions below them. */
function ColumnsCard(
  { columns: { columns, rows }, text, label, onText, onLabel, children }: {
    columns: Columns;
    text: string;
    label: string;
    onText: (column: string) => void;
    onLabel: (column: string) => void;
    children: ComponentChildren;
  },
) {
  return (
    <Card title="Columns" note="Guessed from their names; change them where they are wrong">
      <div class="fields">
        <ColumnChoice
          id="column-text"
          label="Texts"
          value={text}
          columns={columns}
          onChange={onText}
        />
        <ColumnChoice
          id="column-label"
          label="Labels"
          value={label}
          columns={columns}
          onChange={onLabel}
        />
      </div>
      <div class="table-box">
        <table class="table plain texts">
          <caption class="hidden">The first rows</caption>
          <thead>
            <tr>
              {columns.map((column) => (
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
            {rows.map((row, i) => (
              <tr key={i}>
                {row.map((cell, j) => <td key={j} dir="auto" class="cell-text">{cell}</td>)}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <div class="form-actions">{children}</div>
    </Card>
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

function SaveCard(
  { audit, name, error, busy, onName, onSave }: {
    audit: Schemas["DatasetWithAudit"];
    name: string;
    error: string | undefined;
    busy: boolean;
    onName: (name: string) => void;
    onSave: () => void;
  },
) {
  return (
    <Card
      title="Save it"
      note={`${sizes(audit)}. All rows of one text are on one side. ${audit.leakage}`}
    >
      <form
        class="inline-form"
        onSubmit={(event) => {
          event.preventDefault();
          onSave();
        }}
      >
        <Field id="dataset-name" label="Name" error={error}>
          <input
            id="dataset-name"
            value={name}
            autocomplete="off"
            onInput={({ currentTarget }) => onName(currentTarget.value)}
          />
        </Field>
        <Button type="submit" kind="primary" busy={busy}>Save the data set</Button>
      </form>
    </Card>
  );
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
