import { deepStrictEqual } from "node:assert/strict";
import { type Comparison, formatSection, ratio, type Section, sectionsOf } from "./comparison.ts";

const STEP: Comparison = {
  what: "a step",
  unit: "ms",
  graft: 128.4,
  peer: "Other",
  peer_figure: 8192,
  target: 15,
};
const RATE: Comparison = { ...STEP, unit: "texts/s", graft: 6.994, peer_figure: 10, target: 0.7 };

const SECTION: Section = {
  title: "Steps",
  date: "2026-05-31",
  machine: { cpu: "Some CPU", logical_cores: 2, os: "linux", threads: 1 },
  versions: { Deno: "2.9.6", Other: "1.2.3" },
  comparisons: [STEP, RATE, { ...STEP, peer_figure: "not installed" }],
  note: "Medians.",
};

Deno.test("ratio() says how many times as fast Graft is", () => {
  deepStrictEqual(ratio({ ...STEP, graft: 2, peer_figure: 5 }), 2.5);
  deepStrictEqual(ratio({ ...RATE, graft: 5, peer_figure: 2 }), 2.5);
});

Deno.test("ratio() gives nothing where a figure is missing", () => {
  deepStrictEqual(ratio({ ...STEP, graft: "none" }), undefined);
  deepStrictEqual(ratio({ ...STEP, peer_figure: "none" }), undefined);
});

Deno.test("formatSection() says what was measured and where, and gives the ratio", () => {
  deepStrictEqual(
    formatSection(SECTION),
    `## Steps

2026-05-31, Some CPU, 2 cores, 1 thread, linux; Deno 2.9.6, Other 1.2.3.

|  | Graft | beside it | ratio |
| --- | --- | --- | --: |
| a step | 128 ms | Other: 8,192 ms | 63.8 |
| a step | 6.99 texts/s | Other: 10.0 texts/s | 0.699 |
| a step | 128 ms | Other: not installed |  |

Medians.
`,
  );
});

Deno.test("sectionsOf() finds what formatSection() wrote", () => {
  const first = formatSection(SECTION);
  const second = formatSection({ ...SECTION, title: "More" });
  deepStrictEqual(
    [...sectionsOf(`# Results\n\nAbout them.\n\n${first}\n${second}`)],
    [["Steps", first], ["More", second]],
  );
  deepStrictEqual(sectionsOf("# Results\n"), new Map());
});
