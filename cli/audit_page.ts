/**
 * Audits of data sets as one self-contained HTML page.
 *
 * @module
 */
import { basename, resolve } from "node:path";
import type {
  AuditReport,
  BaselineFigures,
  FileAudit,
  Lengths,
} from "../data/preparation/audit.ts";
import { type Side, SIDES } from "../data/preparation/split.ts";
import { classCount } from "./audit_report.ts";
import { percent } from "./report.ts";

/** Further classes are counted, not drawn. */
const MAX_CLASSES = 40;

/** A page with the leakage, the baselines, the classes and the lengths as pictures. */
export function auditPage(report: AuditReport): string {
  const name = escape(basename(resolve(report.dir)));
  const sides = SIDES.filter((side) => report.files[side] !== undefined);
  const rows = sides.reduce((sum, side) => sum + report.files[side]!.rows, 0);
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Audit of ${name}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<p class="kicker">Data audit</p>
<h1>${name}</h1>
<p class="lead">${count(rows)} rows${classCount(report)}. ${escape(report.leakage)}</p>
</header>
<main>
${leakageSection(report)}
${baselineSection(report)}
${classSection(report, sides)}
${lengthSection(report.files.train!, report.max_length)}
${fileSection(report, sides)}
${conflictSection(report)}
</main>
<footer>Made by <code>deno task data audit</code>. Near duplicates: ${
    escape(report.near_duplicates.method)
  } of at least ${report.near_duplicates.threshold}.</footer>
</body>
</html>
`;
}

function leakageSection({ overlaps }: AuditReport): string {
  const bars = overlaps.filter((overlap) => overlap.in === "train").map(
    ({ of, rows, seen, same_label, near }) => {
      const parts = [["seen", seen], ["near", near], ["new", rows - seen - near]] as const;
      const segments = parts.filter(([, size]) => size > 0).map(([kind, size]) =>
        `<span class="${kind}" style="flex-grow:${size}" title="${kind}: ${count(size)}"></span>`
      );
      return `<div class="leak">
<h3>${capital(of)} <small>${count(rows)} rows</small></h3>
<div class="stack" role="img" aria-label="${
        parts.map(([kind, size]) => `${kind} ${percent(size / rows)}`).join(", ")
      }">${segments.join("")}</div>
<dl>${
        parts.map(([kind, size]) =>
          `<div><dt><i class="${kind}"></i>${LEAKAGE_NAMES[kind]}</dt>` +
          `<dd>${percent(size / rows)} <small>${count(size)}</small></dd></div>`
        ).join("")
      }</dl>
${
        seen > 0
          ? `<p>${count(same_label)} of the ${
            count(seen)
          } carry a label that the text has there.</p>`
          : ""
      }
</div>`;
    },
  );
  return section("How much of it was seen in training", bars.join("\n"));
}

const LEAKAGE_NAMES = {
  seen: "Seen word for word",
  near: "Almost the same",
  new: "New",
};

function baselineSection({ baselines: { measured_on, results, left_out } }: AuditReport): string {
  if (results.length === 0) return "";
  const bar = (name: string, { n, accuracy, f1_macro }: BaselineFigures, kind: string) =>
    accuracy === null || f1_macro === null ? "" : barRow(
      `${name} <small>${count(n)}</small>`,
      accuracy,
      1,
      `${percent(accuracy)} <small>macro-F1 ${f1_macro.toFixed(3)}</small>`,
      kind,
    );
  const groups = results.map(({ name, all, unseen }) =>
    `<div class="group"><h3>${capital(escape(name))}</h3>${bar("All rows", all, "all")}${
      bar("Unseen rows", unseen, "new")
    }</div>`
  );
  return section(
    "What a neural model has to beat",
    `<p>Accuracy on the ${measured_on} file of two baselines that take seconds. Unseen rows are those ` +
      "whose text is not in the training file.</p>" +
      `<div class="bars wide">${groups.join("\n")}</div>` +
      left_out.map((reason) => `<p>${capital(escape(reason))}.</p>`).join(""),
  );
}

function classSection(
  { labels, label_names, files }: AuditReport,
  sides: readonly Side[],
): string {
  if (labels.length === 0) return "";
  const shares = (label: string) =>
    sides.map((side) => {
      const { classes, rows } = files[side]!;
      return { side, rows: classes[label]!, share: classes[label]! / rows };
    });
  const drawn = labels.slice(0, MAX_CLASSES);
  const highest = Math.max(...drawn.flatMap((label) => shares(label).map(({ share }) => share)));
  const groups = drawn.map((label, i) => {
    const name = label_names[i]!;
    const title = name === label ? escape(name) : `${escape(name)} <small>${escape(label)}</small>`;
    const bars = shares(label).map(({ side, rows, share }) =>
      barRow("", share, highest, `${percent(share)} <small>${count(rows)}</small>`, side)
    );
    return `<div class="group class"><h3>${title}</h3><div>${bars.join("")}</div></div>`;
  });
  const left = labels.length - drawn.length;
  return section(
    "Classes",
    `<p class="legend">${
      sides.map((side) => `<span><i class="${side}"></i>${capital(side)}</span>`).join("")
    }<span class="note">Share of the file, and rows</span></p>` +
      `<div class="bars">${groups.join("\n")}</div>` +
      (left > 0 ? `<p>… and ${count(left)} more classes.</p>` : ""),
  );
}

/** A bar with its name before it and its value behind. */
function barRow(name: string, value: number, most: number, text: string, kind: string): string {
  const width = most === 0 ? 0 : 100 * value / most;
  return `<div class="bar"><span class="name">${name}</span><span class="track">` +
    `<span class="${kind}" style="width:${width.toFixed(2)}%"></span></span>` +
    `<span class="value">${text}</span></div>`;
}

function lengthSection(
  { words, word_pieces, truncated_rows }: FileAudit,
  maxLength: number,
): string {
  return section(
    "Length of the training texts",
    `<div class="pair">${histogram("Words", words)}${
      histogram("Word pieces", word_pieces)
    }</div><p>A model adds two word pieces, [CLS] and [SEP], and cuts what is longer than ` +
      `<code>--max-length</code>: ${
        truncated_rows === 0
          ? `at ${count(maxLength)} it cuts no training text.`
          : `at ${count(maxLength)} it cuts ${count(truncated_rows)} training texts, at ${
            count(word_pieces.max + 2)
          } none.`
      }</p>`,
  );
}

const PLOT = { width: 440, height: 150, left: 4, top: 26, bottom: 22 };

function histogram(title: string, { histogram, mean, p50, p95, p99, max }: Lengths): string {
  const { width: binWidth, counts } = histogram;
  const { width, height, left, top, bottom } = PLOT;
  const step = (width - 2 * left) / counts.length;
  const highest = Math.max(...counts);
  const base = top + height;
  const bars = counts.map((rows, i) => {
    const size = height * rows / highest;
    const from = i * binWidth;
    const isLast = i === counts.length - 1;
    const to = isLast ? Math.max(max, from) : from + binWidth - 1;
    return `<rect class="column" x="${(left + i * step + 0.5).toFixed(1)}" y="${
      (base - size).toFixed(1)
    }" width="${Math.max(step - 1, 0.5).toFixed(1)}" height="${size.toFixed(1)}"><title>${
      from === to ? from : `${from} to ${to}`
    }: ${count(rows)} texts</title></rect>`;
  });
  const every = Math.ceil(counts.length / 10);
  // Counted from the last bar, which holds all longer texts and should say so.
  const ticks = counts.flatMap((_, i) => {
    if ((counts.length - 1 - i) % every !== 0) return [];
    const x = (left + (i + 0.5) * step).toFixed(1);
    const holdsLonger = i === counts.length - 1 && max >= (i + 1) * binWidth;
    return [`<text x="${x}" y="${base + 16}">${i * binWidth}${holdsLonger ? "+" : ""}</text>`];
  });
  const marks = ([["median", p50], ["95 %", p95]] as const).map(([name, value]) => {
    const x = left + Math.min((value / binWidth) + 0.5, counts.length) * step;
    return `<line x1="${x.toFixed(1)}" x2="${x.toFixed(1)}" y1="${top - 8}" y2="${base}"/>` +
      `<text class="mark" x="${x.toFixed(1)}" y="${top - 13}">${name} ${value}</text>`;
  });
  return `<figure><figcaption><h3>${title}</h3><small>mean ${
    mean.toFixed(1)
  }, 99 % have at most ${p99}, the longest has ${max}</small></figcaption>
<svg viewBox="0 0 ${width} ${base + bottom}" role="img" aria-label="${title}: median ${p50}, ` +
    `95 percent at most ${p95}, longest ${max}">
${bars.join("")}<line class="axis" x1="0" x2="${width}" y1="${base}" y2="${base}"/>${
      ticks.join("")
    }${marks.join("")}
</svg></figure>`;
}

function fileSection({ files }: AuditReport, sides: readonly Side[]): string {
  const line = (name: string, value: (file: FileAudit) => number) =>
    `<tr><th scope="row">${name}</th>${
      sides.map((side) => `<td>${count(value(files[side]!))}</td>`).join("")
    }</tr>`;
  return section(
    "Rows and repeats",
    `<table><thead><tr><th></th>${
      sides.map((side) => `<th scope="col">${capital(side)}</th>`).join("")
    }</tr></thead><tbody>
${line("Rows", ({ rows }) => rows)}
${line("Distinct texts", (file) => file.distinct_texts)}
${line("Rows that repeat an earlier text", (file) => file.duplicate_rows)}
${line("Texts almost the same as another", (file) => file.near_duplicate_texts)}
${line("Texts with several labels", (file) => file.conflicting_texts)}
${line("Rows without a letter", (file) => file.non_text_rows)}
</tbody></table>`,
  );
}

function conflictSection({ conflict_examples, labels, label_names, files }: AuditReport): string {
  if (conflict_examples.length === 0) return "";
  const nameOf = (label: string) => label_names[labels.indexOf(label)] ?? label;
  const items = conflict_examples.map(({ text, labels }) =>
    `<tr><td class="text">${escape(text)}</td><td class="text">${
      labels.map((label) => escape(nameOf(label))).join(", ")
    }</td></tr>`
  );
  return section(
    "Training texts with several labels",
    `<p>${count(conflict_examples.length)} of ${
      count(files.train!.conflicting_texts)
    }: no model can be right on all their rows.</p><table><thead><tr><th>Text</th><th class="text">Labels</th></tr></thead><tbody>${
      items.join("\n")
    }</tbody></table>`,
  );
}

function section(title: string, content: string): string {
  return `<section><h2>${title}</h2>\n${content}\n</section>`;
}

function count(value: number): string {
  return value.toLocaleString("en");
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function escape(text: string): string {
  const entities: Record<string, string> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
  };
  return text.replace(/[&<>"]/g, (character) => entities[character]!);
}

const STYLE = `
:root {
  --paper: #fbfbf9; --card: #fff; --ink: #1c1f23; --soft: #5c6570; --line: #e3e4e0;
  --track: #efefec; --seen: #c8502d; --near: #eda75e; --new: #4f86b8;
  --train: #31587d; --validation: #e0993f; --test: #6fa8a0; --all: #8d97a3;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15181c; --card: #1d2126; --ink: #e8eaec; --soft: #9aa4af; --line: #2e343b;
    --track: #282d33; --seen: #e2714c; --near: #edb578; --new: #5f97c9;
    --train: #7ba6d0; --validation: #e3a95b; --test: #7cc0b6; --all: #7d8894;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 3rem 1.5rem 2rem; max-width: 60rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", sans-serif;
  font-variant-numeric: tabular-nums;
}
h1, h2, h3, p, dl, dd, figure { margin: 0; }
h1 { font-size: 2rem; line-height: 1.2; letter-spacing: -0.02em; overflow-wrap: anywhere; }
h2 { font-size: 1.125rem; margin-bottom: 0.75rem; }
h3 { font-size: 0.9375rem; font-weight: 600; overflow-wrap: anywhere; }
p { color: var(--soft); max-width: 44rem; }
small { color: var(--soft); font-size: 0.8125rem; font-weight: 400; }
code { white-space: nowrap; font-size: 0.875em; background: var(--track); padding: 0.1em 0.35em; border-radius: 4px; }
.kicker { font-size: 0.75rem; letter-spacing: 0.08em; text-transform: uppercase; }
.lead { margin-top: 0.75rem; font-size: 1.125rem; color: var(--ink); }
header { margin-bottom: 2rem; }
section {
  background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  padding: 1.5rem; margin-bottom: 1.25rem;
}
.leak + .leak { margin-top: 1.5rem; }
.stack { display: flex; gap: 2px; height: 2rem; margin: 0.4rem 0 0.5rem; }
.stack span { min-width: 3px; flex-basis: 0; }
.stack span:first-child { border-radius: 6px 0 0 6px; }
.stack span:last-child { border-radius: 0 6px 6px 0; }
.stack span:only-child { border-radius: 6px; }
.leak dl { display: flex; flex-wrap: wrap; gap: 0.25rem 2rem; font-size: 0.875rem; }
.leak dl div { display: flex; gap: 0.5rem; }
.leak dd { font-weight: 600; }
.leak p { font-size: 0.875rem; margin-top: 0.25rem; }
i { display: inline-block; width: 0.7rem; height: 0.7rem; border-radius: 3px; margin-right: 0.4rem; }
.seen { background: var(--seen); } .near { background: var(--near); } .new { background: var(--new); }
.train { background: var(--train); } .validation { background: var(--validation); }
.test { background: var(--test); } .all { background: var(--all); }
.legend { max-width: none; display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; font-size: 0.875rem; margin-bottom: 1rem; }
.legend .note { margin-left: auto; }
.group + .group { margin-top: 0.9rem; }
.group.class { display: grid; grid-template-columns: 11rem 1fr; gap: 0.25rem 1rem; align-items: center; }
.bars.wide { margin-top: 1rem; }
.bar { display: grid; grid-template-columns: 1fr 8.5rem; gap: 0.75rem; align-items: center; font-size: 0.875rem; line-height: 1.35; }
.class .name { display: none; }
.wide .bar { grid-template-columns: 9rem 1fr 11rem; margin-top: 0.25rem; }
.track { background: var(--track); border-radius: 3px; height: 0.7rem; }
.wide .track { height: 1.1rem; border-radius: 4px; }
.track span { display: block; height: 100%; border-radius: inherit; min-width: 1px; }
.value { font-weight: 600; white-space: nowrap; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); gap: 2rem; margin-bottom: 1rem; }
figcaption { margin-bottom: 0.5rem; }
svg { width: 100%; height: auto; display: block; }
svg text { font-size: 11px; fill: var(--soft); text-anchor: middle; }
svg .mark { fill: var(--ink); font-weight: 600; }
svg line { stroke: var(--ink); stroke-dasharray: 3 3; opacity: 0.7; }
svg line.axis { stroke: var(--line); stroke-dasharray: none; opacity: 1; }
.column { fill: var(--train); opacity: 0.85; }
table { border-collapse: collapse; width: 100%; font-size: 0.9375rem; }
th, td { padding: 0.45rem 0.75rem 0.45rem 0; text-align: right; font-weight: 400; border-bottom: 1px solid var(--line); }
thead th { font-size: 0.8125rem; color: var(--soft); }
th:last-child, td:last-child { padding-right: 0; }
tr:last-child > * { border-bottom: 0; }
thead tr:last-child > * { border-bottom: 1px solid var(--line); }
th:first-child, .text { text-align: left; overflow-wrap: anywhere; }
section p + table { margin-top: 0.75rem; }
footer { color: var(--soft); font-size: 0.8125rem; margin-top: 1.5rem; }
@media (max-width: 36rem) {
  body { padding-top: 1.5rem; }
  .group.class { grid-template-columns: 1fr; }
  .bar { grid-template-columns: 1fr 6.5rem; }
  .wide .bar { grid-template-columns: 1fr 10.25rem; gap: 0 0.75rem; }
  .wide .bar .name { grid-column: 1 / -1; }
  .legend .note { margin-left: 0; }
}
`;
