/**
 * The page: which view belongs to which address.
 *
 * @module
 */
import { render } from "preact";
import { Empty } from "./components/basics.tsx";
import { ComparePage } from "./pages/compare.tsx";
import { EvaluationComparisonPage, EvaluationPage, EvaluationsPage } from "./pages/evaluations.tsx";
import { ModelPage, ModelsPage } from "./pages/models.tsx";
import { NewRunPage } from "./pages/new_run.tsx";
import { PlaygroundPage } from "./pages/playground.tsx";
import { LatestRunPage, RunPage } from "./pages/run.tsx";
import { RunsPage } from "./pages/runs.tsx";
import { href, route } from "./route.ts";
import { type Place, Shell } from "./shell.tsx";
import "./style.css";

const PLACES: Place[] = [
  { path: "runs", name: "Runs", icon: "runs" },
  { path: "models", name: "Models", icon: "models" },
  { path: "playground", name: "Playground", icon: "playground" },
  { path: "evaluations", name: "Evaluations", icon: "evaluations" },
];

function App() {
  return (
    <Shell places={PLACES}>
      <View />
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
    case "compare":
      return <ComparePage />;
  }
  return (
    <Empty icon="search" title="There is nothing here">
      <p>
        <a class="button primary" href={href([])}>To the runs</a>
      </p>
    </Empty>
  );
}

render(<App />, document.getElementById("app")!);
