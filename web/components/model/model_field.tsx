/**
 * A field for a model, which proposes those whose names hold what has been typed.
 *
 * @module
 */
import { useRef } from "preact/hooks";
import { answered, client, type Schemas } from "../../api.ts";
import { useQuery } from "../../use_query.ts";

/** The most models to propose; to type more of the name finds the others. */
const MAX_PROPOSED = 50;

/** The field, without a label. */
export function ModelField(
  { id, value, placeholder, referencesOf, onInput }: {
    id: string;
    value: string;
    placeholder?: string;
    /** The references to a model that can be chosen. */
    referencesOf: (model: Schemas["Model"]) => readonly string[];
    onInput: (value: string) => void;
  },
) {
  const [name = ""] = value.split(/[@:]/);
  const { data } = useQuery(
    (signal) =>
      answered(client.GET("/v1/models", {
        params: { query: { limit: MAX_PROPOSED, ...name !== "" && { name } } },
        signal,
      })),
    [name],
  );
  // The last proposals stay until others have come.
  const proposed = useRef<readonly string[]>([]);
  if (data !== undefined) proposed.current = data.models.flatMap(referencesOf);
  return (
    <>
      <input
        id={id}
        type="text"
        list={`${id}-proposed`}
        autocomplete="off"
        spellcheck={false}
        placeholder={placeholder}
        value={value}
        onInput={({ currentTarget }) => onInput(currentTarget.value)}
      />
      <datalist id={`${id}-proposed`}>
        {proposed.current.map((it) => <option key={it} value={it} />)}
      </datalist>
    </>
  );
}
