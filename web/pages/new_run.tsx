/**
 * A form for a run, made from the server's description of its settings.
 *
 * @module
 */
import { useEffect, useMemo, useState } from "preact/hooks";
import { addressOf, answered, AnswerError, client, type Run, type Schemas } from "../api.ts";
import { asError, useQuery } from "../use_query.ts";
import { Button, Card, Failure, Field, Heading, Loading, Note } from "../components/basics.tsx";
import { go, href, route } from "../route.ts";
import { shortName } from "./runs.tsx";

/** A setting as the server describes it. */
interface SettingSchema {
  type?: string;
  enum?: string[];
  description?: string;
  default?: string | number | boolean;
  minimum?: number;
  maximum?: number;
}

type Values = Record<string, string | number | boolean>;

const FIRST = [
  "dataset",
  "name",
  "model",
  "mode",
  "epochs",
  "learning_rate",
  "batch_size",
  "max_length",
  "trials",
];
/** Settings that the data set determines, and an object that has a field of its own. */
const LEFT_OUT = ["problem_type", "tune"];
/** The field that stands for `tune`. */
const TRIALS: SettingSchema = {
  type: "integer",
  description: "Rates, epochs and sizes of an adapter to try first, each in runs of its own; " +
    "8 are many; empty: none",
};
/** The models that come with Graft. */
const OWN_MODELS = ["bundled", "scratch:tiny", "scratch:mini", "scratch:small"];
const CHECK_AFTER_MS = 250;

/** The view. */
export function NewRunPage() {
  const { parameters } = route.value;
  const retryOf = parameters.get("retry") ?? undefined;
  const { data, error, reload } = useQuery(async (signal) => {
    const [schema, datasets, models, run] = await Promise.all([
      settingSchemas(signal),
      answered(client.GET("/v1/datasets", { signal })),
      answered(client.GET("/v1/models", { signal })),
      retryOf === undefined ? undefined : answered(
        client.GET("/v1/runs/{id}", { params: { path: { id: retryOf } }, signal }),
      ),
    ]);
    // A retry has the settings that a search has found.
    const fields = run === undefined ? { ...schema, trials: TRIALS } : schema;
    return { schema: fields, datasets: datasets.datasets, models: models.models, run };
  }, [retryOf]);
  if (data === undefined) {
    return error === undefined ? <Loading rows={8} /> : <Failure error={error} retry={reload} />;
  }
  return (
    <RunForm
      {...data}
      initial={{
        dataset: parameters.get("dataset") ?? "sample",
        ...parameters.get("name") !== null && { name: parameters.get("name")! },
        ...data.run !== undefined && valuesOf(data.run),
      }}
    />
  );
}

function RunForm(
  { schema, datasets, models, run, initial }: {
    schema: Record<string, SettingSchema>;
    datasets: readonly Schemas["Dataset"][];
    models: readonly Schemas["Model"][];
    run: Run | undefined;
    initial: Values;
  },
) {
  const [values, setValues] = useState<Values>(initial);
  const { defaults, error, setError } = useChecked(values);
  const [busy, setBusy] = useState(false);
  const start = async () => {
    setBusy(true);
    try {
      const body = requestOf(values);
      const { id } = run === undefined
        ? await answered(client.POST("/v1/runs", { body }))
        : await answered(
          client.POST("/v1/runs/{id}/retry", { params: { path: { id: run.id } }, body }),
        );
      go(["runs", id]);
    } catch (error) {
      setError(asError(error));
      setBusy(false);
    }
  };
  const faulty = error instanceof AnswerError ? error.field : undefined;
  const fieldAtFault = faulty === "tune.trials" ? "trials" : faulty;
  const names = useMemo(() => Object.keys(schema).filter((name) => !LEFT_OUT.includes(name)), [
    schema,
  ]);
  const options: Record<string, string[]> = {
    dataset: datasets.map(({ name }) => name),
    model: [...OWN_MODELS, ...models.map(({ name }) => name)],
  };
  const field = (name: string) => (
    <Setting
      key={name}
      name={name}
      schema={schema[name] ?? {}}
      value={values[name]}
      usual={defaults[name]}
      options={options[name]}
      error={name === fieldAtFault && error instanceof AnswerError ? error.rule : undefined}
      onChange={(value) =>
        setValues(({ [name]: _, ...rest }) =>
          value === undefined ? rest : { ...rest, [name]: value }
        )}
    />
  );
  return (
    <>
      <Heading
        title={run === undefined ? "New run" : "Retry run"}
        note={run === undefined ? "Fields left empty take the defaults of the base" : (
          <>
            with the settings of <bdi>{shortName(run)}</bdi>, but for those you change
          </>
        )}
        back={{ href: href(["runs"]), name: "Runs" }}
      />
      <form
        class="form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void start();
        }}
      >
        <Card title="The run">
          <div class="fields">{FIRST.filter((name) => names.includes(name)).map(field)}</div>
        </Card>
        <details
          class="card"
          open={names.some((name) => !FIRST.includes(name) && name in values)}
        >
          <summary>
            <h2>More settings</h2>
          </summary>
          <div class="fields">{names.filter((name) => !FIRST.includes(name)).map(field)}</div>
        </details>
        {error !== undefined && (fieldAtFault === undefined || !names.includes(fieldAtFault)) && (
          <Note kind="danger">{error.message}</Note>
        )}
        <div class="form-actions">
          <Button
            type="submit"
            kind="primary"
            icon="play"
            busy={busy}
            disabled={error !== undefined}
          >
            Start training
          </Button>
          <a class="button quiet" href={href(["runs"])}>Cancel</a>
        </div>
      </form>
    </>
  );
}

/**
 * Has the server check the values of the fields, a moment after each change.
 *
 * @returns The settings with their defaults, and the fault of the values.
 */
function useChecked(values: Values) {
  const [defaults, setDefaults] = useState<Record<string, unknown>>({});
  const [error, setError] = useState<Error>();
  const request = JSON.stringify(values);
  useEffect(() => {
    const aborted = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const body = requestOf(JSON.parse(request));
        const { signal } = aborted;
        const { settings } = await answered(client.POST("/v1/runs/settings", { body, signal }));
        setDefaults(settings);
        setError(undefined);
      } catch (error) {
        if (!aborted.signal.aborted) setError(asError(error));
      }
    }, CHECK_AFTER_MS);
    return () => {
      clearTimeout(timer);
      aborted.abort();
    };
  }, [request]);
  return { defaults, error, setError };
}

function Setting(
  { name, schema, value, usual, options, error, onChange }: {
    name: string;
    schema: SettingSchema;
    value: string | number | boolean | undefined;
    /** The default. */
    usual: unknown;
    options: readonly string[] | undefined;
    error: string | undefined;
    onChange: (value: string | number | boolean | undefined) => void;
  },
) {
  const id = `setting-${name}`;
  const described = { "aria-describedby": `${id}-hint`, "aria-invalid": error !== undefined };
  const label = name.replaceAll("_", " ");
  const shown = usual ?? schema.default;
  const isNumber = schema.type === "number" || schema.type === "integer";
  const choices = schema.enum ?? (name === "dataset" ? options : undefined);
  if (schema.type === "boolean") {
    return (
      <Field id={id} label={label} hint={schema.description} error={error}>
        <select
          id={id}
          {...described}
          value={value === undefined ? "" : String(value)}
          onChange={({ currentTarget: { value } }) =>
            onChange(value === "" ? undefined : value === "true")}
        >
          <option value="">{shown === true ? "yes" : "no"} (default)</option>
          <option value="true">yes</option>
          <option value="false">no</option>
        </select>
      </Field>
    );
  }
  if (choices !== undefined) {
    return (
      <Field id={id} label={label} hint={schema.description} error={error}>
        <select
          id={id}
          {...described}
          value={value === undefined ? "" : String(value)}
          onChange={({ currentTarget: { value } }) => onChange(value === "" ? undefined : value)}
        >
          {name !== "dataset" && (
            <option value="">
              {shown === undefined ? "none" : `${String(shown)} (default)`}
            </option>
          )}
          {choices.map((choice) => <option key={choice} value={choice}>{choice}</option>)}
        </select>
      </Field>
    );
  }
  return (
    <Field id={id} label={label} hint={schema.description} error={error}>
      <input
        id={id}
        {...described}
        type="text"
        autocomplete="off"
        inputMode={isNumber ? "decimal" : "text"}
        list={options === undefined ? undefined : `${id}-options`}
        value={value === undefined ? "" : String(value)}
        placeholder={shown === undefined ? "" : String(shown)}
        onInput={({ currentTarget: { value } }) => {
          const text = value.trim();
          // Other text than a number is sent as it is: the server reports the rule.
          const isOne = isNumber && text !== "" && Number.isFinite(Number(text));
          onChange(text === "" ? undefined : isOne ? Number(text) : text);
        }}
      />
      {options !== undefined && (
        <datalist id={`${id}-options`}>
          {options.map((option) => <option key={option} value={option} />)}
        </datalist>
      )}
    </Field>
  );
}

/** The request that the fields stand for. */
function requestOf({ trials, ...values }: Values): Schemas["RunRequest"] {
  const request = { ...values, ...trials !== undefined && { tune: { trials } } };
  return request as unknown as Schemas["RunRequest"];
}

function valuesOf({ id, name, dataset, settings: { problem_type: _, ...settings } }: Run): Values {
  return { dataset, ...name !== id && { name }, ...settings as Values };
}

/** The settings of a run by their names. */
async function settingSchemas(signal: AbortSignal): Promise<Record<string, SettingSchema>> {
  const response = await fetch(addressOf("/openapi.json"), { signal });
  const description = await response.json();
  return description.components.schemas.RunRequest.properties;
}
