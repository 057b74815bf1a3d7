/**
 * Asks for the key of a server that requires one.
 *
 * @module
 */
import { useEffect, useRef, useState } from "preact/hooks";
import { answered, AnswerError, client } from "../api.ts";
import { asError } from "../use_query.ts";
import { Button, Failure, Field } from "../components/basics.tsx";

/**
 * The view; `onDone` is called when the server has accepted a key.
 *
 * @param isAgain Whether the page was signed in and is no longer.
 */
export function SignInPage(
  { isAgain, onDone }: { isAgain: boolean; onDone: () => void },
) {
  const [key, setKey] = useState("");
  const [error, setError] = useState<Error>();
  const [busy, setBusy] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  const begin = async () => {
    setBusy(true);
    try {
      await answered(client.POST("/v1/session", { body: { api_key: key } }));
      onDone();
    } catch (error) {
      setError(asError(error));
    } finally {
      setBusy(false);
    }
  };
  const isWrong = error instanceof AnswerError && error.status === 401;
  return (
    <main class="sign-in">
      <form
        class="card"
        onSubmit={(event) => {
          event.preventDefault();
          void begin();
        }}
      >
        <img src="ui/icon.svg" alt="" width="40" height="40" />
        <h1>Graft</h1>
        <p class="soft">
          {isAgain
            ? "Please sign in again: the server has been started anew, or 12 hours have passed. You " +
              "come back to where you were."
            : "This server asks for an API key. You stay signed in for 12 hours, or until the server " +
              "is started anew."}
        </p>
        <Field id="api-key" label="API key" error={isWrong ? "There is no such key" : undefined}>
          <input
            id="api-key"
            ref={field}
            type="password"
            autocomplete="current-password"
            value={key}
            onInput={({ currentTarget }) => setKey(currentTarget.value)}
          />
        </Field>
        {error !== undefined && !isWrong && <Failure error={error} />}
        <Button type="submit" kind="primary" icon="key" busy={busy} disabled={key === ""}>
          Sign in
        </Button>
      </form>
    </main>
  );
}
