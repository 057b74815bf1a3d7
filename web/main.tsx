/**
 * The page: the view of each address.
 *
 * @module
 */
import { render } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { answered, client, needsKey } from "./api.ts";
import { useQuery } from "./use_query.ts";
import { Failure, Heading } from "./components/basics.tsx";
import { ComparePage } from "./pages/compare.tsx";
import { DataPage } from "./pages/data.tsx";
import { DatasetPage } from "./pages/dataset.tsx";
import { EvaluationComparisonPage } from "./pages/evaluation_comparison.tsx";
import { EvaluationPage } from "./pages/evaluation.tsx";
import { EvaluationsPage } from "./pages/evaluations.tsx";
import { ModelPage } from "./pages/model.tsx";
import { ModelsPage } from "./pages/models.tsx";
import { NewRunPage } from "./pages/new_run.tsx";
import { PlaygroundPage } from "./pages/playground.tsx";
import { LatestRunPage, RunPage } from "./pages/run.tsx";
import { RunsPage } from "./pages/runs.tsx";
import { SignInPage } from "./pages/sign_in.tsx";
import { href, route } from "./route.ts";
import { type Place, Shell } from "./shell.tsx";
import "./tokens.css";
import "./style.css";
import "./audit.css";

const PLACES: (Place & { scope: Scope })[] = [
  { path: "runs", name: "Runs", icon: "runs", scope: "manage" },
  { path: "models", name: "Models", icon: "models", scope: "manage" },
  { path: "playground", name: "Playground", icon: "playground", scope: "predict" },
  { path: "evaluations", name: "Evaluations", icon: "evaluations", scope: "manage" },
  { path: "data", name: "Data", icon: "data", scope: "manage" },
];

type Scope = "predict" | "manage";

function App() {
  const { data: session, error, reload } = useQuery(
    (signal) => answered(client.GET("/v1/session", { signal })),
    [],
  );
  useEffect(() => {
    if (needsKey.value) reload();
  }, [needsKey.value]);
  const wasSignedIn = useRef(false);
  const signedOut = useRef(false);
  if (session !== undefined && !session.needs_key) wasSignedIn.current = session.name !== null;
  if (session === undefined) {
    return error === undefined ? null : (
      <Shell places={[]}>
        <Failure error={error} retry={reload} />
      </Shell>
    );
  }
  if (session.needs_key) {
    return (
      <SignInPage
        isAgain={wasSignedIn.current && !signedOut.current}
        onDone={() => {
          signedOut.current = false;
          needsKey.value = false;
          reload();
        }}
      />
    );
  }
  const places = PLACES.filter(({ scope }) => session.scopes.includes(scope));
  const canManage = session.scopes.includes("manage");
  return (
    <Shell
      places={places}
      keyName={session.name}
      onSignOut={() => {
        signedOut.current = true;
        reload();
      }}
    >
      {canManage ? <View /> : <PlaygroundPage canTrain={false} />}
    </Shell>
  );
}

function View() {
  const { path: [place = "runs", id] } = route.value;
  switch (place) {
    case "runs":
      if (id === undefined) return <RunsPage />;
      return id === "latest" ? <LatestRunPage /> : <RunPage key={id} id={id} />;
    case "new":
      return <NewRunPage />;
    case "models":
      return id === undefined ? <ModelsPage /> : <ModelPage key={id} name={id} />;
    case "playground":
      return <PlaygroundPage />;
    case "evaluations":
      if (id === undefined) return <EvaluationsPage />;
      return id === "compare" ? <EvaluationComparisonPage /> : <EvaluationPage key={id} id={id} />;
    case "data":
      return id === undefined ? <DataPage /> : <DatasetPage key={id} name={id} />;
    case "compare":
      return <ComparePage />;
  }
  return (
    <>
      <Heading title="There is nothing here" note="The address names no view of this page" />
      <p>
        <a class="button primary" href={href([])}>To the runs</a>
      </p>
    </>
  );
}

render(<App />, document.getElementById("app")!);
