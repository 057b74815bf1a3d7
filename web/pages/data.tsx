/**
 * The data sets, and the way to a new one.
 *
 * @module
 */
import { useState } from "preact/hooks";
import { answered, client, type Schemas } from "../api.ts";
import { useQuery } from "../use_query.ts";
import { Card, Command, Failure, Heading, Loading, When } from "../components/basics.tsx";
import { Icon } from "../components/icon.tsx";
import { count } from "../format.ts";
import { href } from "../route.ts";
import { Upload } from "./upload.tsx";

type Dataset = Schemas["Dataset"];

/** The view of all data sets. */
export function DataPage() {
  const { data, error, reload } = useQuery(
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
