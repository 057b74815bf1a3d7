import { deepStrictEqual } from "node:assert/strict";
import { type Section, sectionsOf } from "./comparison.ts";
import { resultsPage } from "./peers.ts";

function section(title: string, note: string): Section {
  return {
    title,
    date: "2026-05-31",
    machine: { cpu: "Some CPU", logical_cores: 2, os: "linux", threads: 2 },
    versions: { Deno: "2.9.6" },
    comparisons: [],
    note,
  };
}

const STEP = section("A training step on native code", "The first.");
const EPOCH = section("An epoch on the published titles", "Another.");

Deno.test("resultsPage() replaces what was measured again and keeps the rest, in one order", () => {
  const earlier = resultsPage(STEP, resultsPage(EPOCH, ""));
  const sections = sectionsOf(resultsPage({ ...EPOCH, note: "Once more." }, earlier));
  deepStrictEqual([...sections.keys()], [STEP.title, EPOCH.title]);
  const notes = [...sections.values()].map((text) => text.trimEnd().split("\n").at(-1));
  deepStrictEqual(notes, ["The first.", "Once more."]);
});

Deno.test("resultsPage() drops sections of parts that there are no more", () => {
  const earlier = resultsPage(STEP, "") + "\n## Something else\n\nOld.\n";
  deepStrictEqual([...sectionsOf(resultsPage(EPOCH, earlier)).keys()], [STEP.title, EPOCH.title]);
});
