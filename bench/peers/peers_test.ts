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

Deno.test("resultsPage() replaces what was measured again and keeps the rest, in one order", () => {
  const step = section("A training step on native code", "The first.");
  const epoch = section("An epoch on the published titles", "Another.");
  const earlier = resultsPage([epoch, step], "");
  const page = resultsPage([{ ...epoch, note: "Once more." }], earlier);
  deepStrictEqual([...sectionsOf(page).keys()], [step.title, epoch.title]);
  const notes = [...sectionsOf(page).values()].map((text) => text.trimEnd().split("\n").at(-1));
  deepStrictEqual(notes, ["The first.", "Once more."]);
});

Deno.test("resultsPage() drops sections of parts that there are no more", () => {
  const old = resultsPage([], "") + "\n## Something else\n\nOld.\n";
  deepStrictEqual(sectionsOf(resultsPage([], old)), new Map());
});
