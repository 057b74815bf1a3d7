/**
 * A place to try a text with one model or several.
 *
 * @module
 */
import { useEffect, useState } from "preact/hooks";
import { answered, client, type Schemas } from "../api.ts";
import { asError, useQuery } from "../use_query.ts";
import { Button, Card, Empty, Failure, Heading, Loading } from "../components/basics.tsx";
import { Icon } from "../components/icon.tsx";
import { ModelField } from "../components/model/model_field.tsx";
import { digits, percent } from "../format.ts";
import { route, setParameters } from "../route.ts";
import { TrainOnSample } from "./train_on_sample.tsx";

const TYPING_PAUSE_MS = 150;
const MAX_MODELS = 6;
/** The most classes to draw; further ones are counted. */
const MAX_CLASSES = 8;
/** The most classes to choose from; a longer list is no help. */
const MAX_EXPLAINED = 50;

/** The label of a model that predicts a number, as transformers names it. */
const NUMBER = "LABEL_0";

const EXAMPLES = [
  "How to bake sourdough bread",
  "A duet for two pianos",
  "The last minute of the final, in slow motion",
];

/**
 * The view.
 *
 * @param canTrain Whether the key in use may train a model where there is none.
 */
export function PlaygroundPage({ canTrain = true }: { canTrain?: boolean }) {
  const { parameters } = route.value;
  const text = parameters.get("text") ?? "";
  const { data, error, reload } = useQuery(
    (signal) => answered(client.GET("/v1/models", { params: { query: { limit: 1 } }, signal })),
    [],
  );
  if (data === undefined) {
    return error === undefined ? <Loading /> : <Failure error={error} retry={reload} />;
  }
  const references = data.models.flatMap(referencesOf);
  const hasOthers = data.next !== null || references.length > 1;
  const asked = (parameters.get("models") ?? parameters.get("model") ?? "").split(",")
    .filter((it) => it !== "");
  const chosen = asked.length > 0 ? asked.slice(0, MAX_MODELS) : references.slice(0, 1);
  return (
    <>
      <Heading
        title="Playground"
        note="Type a text; the models answer as you type. The address holds the text and the models."
      />
      {references.length === 0 ? <NoModels canTrain={canTrain} /> : (
        <>
          <Card>
            <div class="field">
              <label for="text">Text</label>
              <textarea
                id="text"
                class="playground-text"
                rows={3}
                dir="auto"
                placeholder="Something to classify"
                value={text}
                onInput={({ currentTarget }) => setParameters({ text: currentTarget.value })}
              />
            </div>
            {text.trim() === "" && <Examples />}
            <ModelChoice hasOthers={hasOthers} chosen={chosen} />
          </Card>
          {text.trim() !== "" && <Answers text={text} models={chosen} />}
        </>
      )}
    </>
  );
}

function NoModels({ canTrain }: { canTrain: boolean }) {
  return (
    <Empty icon="playground" title="There is no model to ask yet">
      <p>A run that succeeds becomes a model.</p>
      {canTrain && <TrainOnSample />}
    </Empty>
  );
}

function Examples() {
  return (
    <div class="examples">
      <span class="soft small">For instance</span>
      {EXAMPLES.map((example) => (
        <button
          key={example}
          type="button"
          class="chip-button"
          onClick={() => setParameters({ text: example })}
        >
          {example}
        </button>
      ))}
    </div>
  );
}

/** The models that are asked, to be taken away, and others to be added. */
function ModelChoice(
  { hasOthers, chosen }: { hasOthers: boolean; chosen: readonly string[] },
) {
  const choose = (models: readonly string[]) =>
    setParameters({ models: models.join(","), model: "" });
  return (
    <div class="model-choice">
      {chosen.map((model) => (
        <span class="chip" key={model}>
          <bdi>{model}</bdi>
          {chosen.length > 1 && (
            <button
              type="button"
              onClick={() => choose(chosen.filter((it) => it !== model))}
            >
              <Icon name="close" />
              <span class="hidden">Without {model}</span>
            </button>
          )}
        </span>
      ))}
      {chosen.length < MAX_MODELS && hasOthers && (
        <AnotherModel
          chosen={chosen}
          onChoose={(model) => choose([...chosen, model])}
        />
      )}
    </div>
  );
}

/** A field for a further model. */
function AnotherModel(
  { chosen, onChoose }: { chosen: readonly string[]; onChoose: (model: string) => void },
) {
  const [model, setModel] = useState("");
  const isNew = model.trim() !== "" && !chosen.includes(model.trim());
  return (
    <form
      class="another-model"
      onSubmit={(event) => {
        event.preventDefault();
        if (isNew) onChoose(model.trim());
        setModel("");
      }}
    >
      <label class="hidden" for="another-model">Another model</label>
      <ModelField
        id="another-model"
        value={model}
        placeholder="Another model"
        referencesOf={(it) => referencesOf(it).filter((reference) => !chosen.includes(reference))}
        onInput={setModel}
      />
      <Button type="submit" disabled={!isNew}>Ask it, too</Button>
    </form>
  );
}

/** The references to a model: its newest version, other versions, and aliases. */
function referencesOf({ name, versions, aliases }: Schemas["Model"]): string[] {
  return [
    name,
    ...versions.length > 1 ? versions.toReversed().map(({ version }) => `${name}@${version}`) : [],
    ...Object.keys(aliases).map((alias) => `${name}:${alias}`),
  ];
}

function Answers({ text, models }: { text: string; models: readonly string[] }) {
  return (
    <div class="answers">
      {models.map((model) => <Answer key={model} text={text} model={model} />)}
    </div>
  );
}

interface Predicted {
  model: string;
  scores: { label: string; score: number }[];
  ms: number;
}

function Answer({ text, model }: { text: string; model: string }) {
  const [predicted, setPredicted] = useState<Predicted>();
  const [error, setError] = useState<Error>();
  const [isWaiting, setIsWaiting] = useState(true);
  useEffect(() => {
    const aborted = new AbortController();
    const { signal } = aborted;
    setIsWaiting(true);
    const timer = setTimeout(async () => {
      try {
        const body = { model, inputs: [text], truncate: true };
        const startedAt = performance.now();
        const answer = await answered(client.POST("/v1/predict", { body, signal }));
        setPredicted({
          model: answer.models[0]!,
          scores: answer.predictions[0]!,
          ms: performance.now() - startedAt,
        });
        setError(undefined);
      } catch (error) {
        if (signal.aborted) return;
        setError(asError(error));
      }
      setIsWaiting(false);
    }, predicted === undefined ? 0 : TYPING_PAUSE_MS);
    return () => {
      clearTimeout(timer);
      aborted.abort();
    };
  }, [text, model]);
  return (
    <Card
      title={<bdi>{predicted?.model ?? model}</bdi>}
      note={predicted === undefined
        ? undefined
        : `${digits(Math.round(predicted.ms))} ms, there and back`}
    >
      {error !== undefined && <Failure error={error} />}
      {error === undefined && predicted === undefined && <Loading rows={3} />}
      {error === undefined && predicted !== undefined && (
        <>
          <ScoreBars scores={predicted.scores} isOld={isWaiting} />
          <Why
            text={text}
            model={predicted.model}
            labels={predicted.scores.map((it) => it.label)}
          />
        </>
      )}
    </Card>
  );
}

/** The contribution of each word to a class, on demand. */
function Why(
  { text, model, labels }: { text: string; model: string; labels: readonly string[] },
) {
  const [isOpen, setIsOpen] = useState(false);
  return (
    <details class="why" onToggle={({ currentTarget }) => setIsOpen(currentTarget.open)}>
      <summary>Why?</summary>
      {isOpen && <Words text={text} model={model} labels={labels} />}
    </details>
  );
}

function Words(
  { text, model, labels }: { text: string; model: string; labels: readonly string[] },
) {
  const [chosen, setChosen] = useState<string>();
  const label = chosen !== undefined && labels.includes(chosen) ? chosen : labels[0]!;
  const { data, error, reload } = useQuery(
    async (signal) => {
      // Not while the user types.
      await new Promise((resolve) => setTimeout(resolve, 2 * TYPING_PAUSE_MS));
      signal.throwIfAborted();
      return await answered(client.POST("/v1/explain", { body: { model, text, label }, signal }));
    },
    [model, text, label],
  );
  return (
    <div class="why-body">
      <label class="why-label">
        Share of each word in
        <select value={label} onChange={({ currentTarget }) => setChosen(currentTarget.value)}>
          {labels.slice(0, MAX_EXPLAINED).map((it) => (
            <option key={it} value={it}>{isOfNumber(labels) ? "the number" : it}</option>
          ))}
        </select>
      </label>
      {error !== undefined && <Failure error={error} retry={reload} />}
      {data === undefined && error === undefined && <Loading rows={1} />}
      {data !== undefined && (
        <p class="words" dir="auto">
          {data.words.map(({ word, start, share }, i) => {
            const before = i === 0 ? "" : text.slice(
              data.words[i - 1]!.start + data.words[i - 1]!.word.length,
              start,
            );
            return (
              <>
                {before}
                <span
                  key={start}
                  class={share >= 0 ? "adds" : "takes"}
                  style={{ "--weight": `${Math.round(100 * Math.min(1, 2 * Math.abs(share)))}%` }}
                  title={percent(share)}
                >
                  {word}
                  <span class="hidden">{` (${percent(share)})`}</span>
                </span>
              </>
            );
          })}
        </p>
      )}
      {data?.truncated === true && (
        <p class="soft small">
          The text is longer than the model reads at once. Only its beginning is explained: the
          words after it have no share here, though they may count in the answer.
        </p>
      )}
      <p class="soft small">
        <span class="key adds">adds</span> <span class="key takes">takes away</span>{" "}
        Gradient times input, a linear estimate: all shares add up to 100 %, whatever their sign.
      </p>
    </div>
  );
}

/** Whether a model of these labels predicts a number. */
function isOfNumber(labels: readonly string[]): boolean {
  return labels.length === 1 && labels[0] === NUMBER;
}

/** The classes with bars as long as their scores. */
function ScoreBars(
  { scores, isOld }: { scores: readonly { label: string; score: number }[]; isOld: boolean },
) {
  const isNumber = isOfNumber(scores.map(({ label }) => label));
  const shown = scores.slice(0, MAX_CLASSES);
  return (
    <ol class={`scores${isOld ? " old" : ""}`} aria-live="polite">
      {shown.map(({ label, score }, i) => (
        <li key={label} class={i === 0 ? "first" : ""}>
          <span class="score-label">
            <bdi>{isNumber ? "the number" : label}</bdi>
          </span>
          <span class="score-value">{isNumber ? digits(score) : percent(score)}</span>
          {!isNumber && (
            <span class="score-track">
              <span style={{ width: `${100 * score}%` }} />
            </span>
          )}
        </li>
      ))}
      {scores.length > shown.length && (
        <li class="soft small">and {scores.length - shown.length} classes less probable</li>
      )}
    </ol>
  );
}
