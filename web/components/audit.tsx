/**
 * The audit of a data set as pictures, for the server's page and that of `data audit`.
 *
 * @module
 */
import type { ComponentChildren } from "preact";
import type { Schemas } from "../api.ts";
import { count, decimals, percent } from "../format.ts";

type AuditReport = Schemas["AuditReport"];
type FileAudit = Schemas["FileAudit"];
type Lengths = Schemas["Lengths"];
type BaselineFigures = Schemas["BaselineFigures"];

/** The files of a data set in their order on the page. */
const SIDES = ["train", "validation", "test"] as const;

type Side = (typeof SIDES)[number];

/** The most classes to draw; further ones are counted. */
const MAX_CLASSES = 40;

const LEAKAGE_NAMES = {
  seen: "Seen word for word",
  near: "Almost the same",
  new: "New",
};

/** The sections of an audit, one after the other. */
export function Audit({ report }: { report: AuditReport }) {
  const sides = sidesOf(report);
  return (
    <div class="audit">
      <LeakageSection report={report} />
      <BaselineSection report={report} />
      <ClassSection report={report} sides={sides} />
      <LengthSection file={report.files.train!} maxLength={report.max_length} />
      <FileSection report={report} sides={sides} />
      <ConflictSection report={report} />
    </div>
  );
}

/** The rows of all files of a data set. */
export function rowsOf(report: AuditReport): number {
  return sidesOf(report).reduce((sum, side) => sum + report.files[side]!.rows, 0);
}

function sidesOf(report: AuditReport): Side[] {
  return SIDES.filter((side) => report.files[side] !== undefined);
}

function Section({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <section class="audit-section">
      <h2>{title}</h2>
      {children}
    </section>
  );
}

function LeakageSection({ report: { overlaps } }: { report: AuditReport }) {
  return (
    <Section title="Leakage">
      {overlaps.filter((overlap) => overlap.in === "train").map(
        ({ of, rows, seen, same_label, near }) => {
          const parts = [["seen", seen], ["near", near], ["new", rows - seen - near]] as const;
          return (
            <div class="leak" key={of}>
              <h3>
                {capital(of)} <small>{count(rows)} rows</small>
              </h3>
              <div
                class="stacked"
                role="img"
                aria-label={parts.map(([kind, size]) => `${kind} ${percent(size / rows)}`)
                  .join(", ")}
              >
                {parts.filter(([, size]) => size > 0).map(([kind, size]) => (
                  <span
                    key={kind}
                    class={kind}
                    style={{ flexGrow: size }}
                    title={`${kind}: ${count(size)}`}
                  />
                ))}
              </div>
              <dl>
                {parts.map(([kind, size]) => (
                  <div key={kind}>
                    <dt>
                      <i class={kind} />
                      {LEAKAGE_NAMES[kind]}
                    </dt>
                    <dd>
                      {percent(size / rows)} <small>{count(size)}</small>
                    </dd>
                  </div>
                ))}
              </dl>
              {seen > 0 && (
                <p>
                  {count(same_label)} of the {count(seen)} carry a label that the text has there.
                </p>
              )}
            </div>
          );
        },
      )}
    </Section>
  );
}

function BaselineSection(
  { report: { baselines: { measured_on, results, left_out } } }: { report: AuditReport },
) {
  if (results.length === 0) return null;
  const bar = (name: string, { n, accuracy, f1_macro }: BaselineFigures, kind: string) =>
    accuracy === null || f1_macro === null ? null : (
      <Bar
        name={
          <>
            {name} <small>{count(n)}</small>
          </>
        }
        share={accuracy}
        kind={kind}
      >
        {percent(accuracy)} <small>macro-F1 {decimals(f1_macro)}</small>
      </Bar>
    );
  return (
    <Section title="Baselines to beat">
      <p>
        Accuracy on the {measured_on}{" "}
        file of two baselines that take seconds. Unseen rows are those whose text is not in the
        training file.
      </p>
      <div class="bars wide">
        {results.map(({ name, all, unseen }) => (
          <div class="group" key={name}>
            <h3>{capital(name)}</h3>
            {bar("All rows", all, "all")}
            {bar("Unseen rows", unseen, "new")}
          </div>
        ))}
      </div>
      {left_out.map((reason) => <p key={reason}>{capital(reason)}.</p>)}
    </Section>
  );
}

function ClassSection({ report, sides }: { report: AuditReport; sides: readonly Side[] }) {
  const { labels, label_names, files } = report;
  if (labels.length === 0) return null;
  const shares = (label: string) =>
    sides.map((side) => {
      const { classes, rows } = files[side]!;
      return { side, rows: classes[label]!, share: classes[label]! / rows };
    });
  const drawn = labels.slice(0, MAX_CLASSES);
  const highest = Math.max(...drawn.flatMap((label) => shares(label).map(({ share }) => share)));
  const left = labels.length - drawn.length;
  return (
    <Section title="Classes">
      <p class="legend">
        {sides.map((side) => (
          <span key={side}>
            <i class={side} />
            {capital(side)}
          </span>
        ))}
        <span class="legend-note">Share of the file, and rows</span>
      </p>
      <div class="bars">
        {drawn.map((label, i) => (
          <div class="group class" key={label}>
            <h3>
              <bdi>{label_names[i]}</bdi>
              {label_names[i] !== label && (
                <>
                  {" "}
                  <small>
                    <bdi>{label}</bdi>
                  </small>
                </>
              )}
            </h3>
            <div>
              {shares(label).map(({ side, rows, share }) => (
                <Bar key={side} share={highest === 0 ? 0 : share / highest} kind={side}>
                  {percent(share)} <small>{count(rows)}</small>
                </Bar>
              ))}
            </div>
          </div>
        ))}
      </div>
      {left > 0 && <p>… and {count(left)} more classes.</p>}
    </Section>
  );
}

/** A bar between its name and its value. */
function Bar(
  { name, share, kind, children }: {
    name?: ComponentChildren;
    share: number;
    kind: string;
    children: ComponentChildren;
  },
) {
  return (
    <div class="bar">
      {name !== undefined && <span class="name">{name}</span>}
      <span class="track">
        <span class={kind} style={{ width: `${(100 * share).toFixed(2)}%` }} />
      </span>
      <span class="value">{children}</span>
    </div>
  );
}

function LengthSection({ file, maxLength }: { file: FileAudit; maxLength: number }) {
  const { words, word_pieces, truncated_rows } = file;
  return (
    <Section title="Length of the training texts">
      <div class="pair">
        <Histogram title="Words" lengths={words} />
        <Histogram title="Word pieces" lengths={word_pieces} />
      </div>
      <p>
        A model adds two word pieces, [CLS] and [SEP], and cuts what is longer than{" "}
        <code>--max-length</code>: {truncated_rows === 0
          ? `at ${count(maxLength)} it cuts no training text.`
          : `at ${count(maxLength)} it cuts ${count(truncated_rows)} training texts, at ${
            count(word_pieces.max + 2)
          } none.`}
      </p>
    </Section>
  );
}

/** The width of a text over a histogram. */
const MARK_WIDTH = 80;
const PLOT = { width: 440, height: 150, left: 4, top: 26, bottom: 22 };

function Histogram({ title, lengths }: { title: string; lengths: Lengths }) {
  const { histogram: { width: binWidth, counts }, mean, p50, p95, p99, max } = lengths;
  const { width, height, left, top, bottom } = PLOT;
  const step = (width - 2 * left) / counts.length;
  const highest = Math.max(...counts);
  const base = top + height;
  const every = Math.ceil(counts.length / 10);
  const place = (value: number) => left + Math.min(value / binWidth + 0.5, counts.length) * step;
  const lines = [...new Set([place(p50), place(p95)])];
  const [median, high] = [`median ${p50}`, `95 % ${p95}`];
  const isNear = place(p95) - place(p50) < MARK_WIDTH;
  const marks = p50 === p95
    ? [{ text: `median and ${high}`, x: place(p50) }]
    : isNear
    ? [{ text: `${median}, ${high}`, x: (place(p50) + place(p95)) / 2 }]
    : [{ text: median, x: place(p50) }, { text: high, x: place(p95) }];
  const margin = (isNear ? 2 : 1) * MARK_WIDTH / 2;
  return (
    <figure>
      <figcaption>
        <h3>{title}</h3>
        <small>
          mean {mean.toFixed(1)}, 99 % have at most {p99}, the longest has {max}
        </small>
      </figcaption>
      <svg
        viewBox={`0 0 ${width} ${base + bottom}`}
        role="img"
        aria-label={`${title}: median ${p50}, 95 percent at most ${p95}, longest ${max}`}
      >
        {counts.map((rows, i) => {
          const size = height * rows / highest;
          const from = i * binWidth;
          const isLast = i === counts.length - 1;
          const to = isLast ? Math.max(max, from) : from + binWidth - 1;
          return (
            <rect
              key={i}
              class="column"
              x={(left + i * step + 0.5).toFixed(1)}
              y={(base - size).toFixed(1)}
              width={Math.max(step - 1, 0.5).toFixed(1)}
              height={size.toFixed(1)}
            >
              <title>{`${from === to ? from : `${from} to ${to}`}: ${count(rows)} texts`}</title>
            </rect>
          );
        })}
        <line class="axis" x1="0" x2={width} y1={base} y2={base} />
        {counts.map((_, i) => {
          // Counted from the last bar, which holds all longer texts and should say so.
          if ((counts.length - 1 - i) % every !== 0) return null;
          const holdsLonger = i === counts.length - 1 && max >= (i + 1) * binWidth;
          return (
            <text key={i} x={(left + (i + 0.5) * step).toFixed(1)} y={base + 16}>
              {`${i * binWidth}${holdsLonger ? "+" : ""}`}
            </text>
          );
        })}
        {lines.map((x) => <line key={x} x1={x} x2={x} y1={top - 8} y2={base} />)}
        {marks.map(({ text, x }) => (
          <text
            key={text}
            class="mark"
            x={Math.min(Math.max(x, margin), width - margin).toFixed(1)}
            y={top - 13}
          >
            {text}
          </text>
        ))}
      </svg>
    </figure>
  );
}

const FILE_LINES: [string, (file: FileAudit) => number][] = [
  ["Rows", ({ rows }) => rows],
  ["Distinct texts", (file) => file.distinct_texts],
  ["Rows that repeat an earlier text", (file) => file.duplicate_rows],
  ["Texts almost the same as another", (file) => file.near_duplicate_texts],
  ["Texts with several labels", (file) => file.conflicting_texts],
  ["Rows without a letter", (file) => file.non_text_rows],
];

function FileSection(
  { report: { files }, sides }: { report: AuditReport; sides: readonly Side[] },
) {
  return (
    <Section title="Rows and repeats">
      <table>
        <thead>
          <tr>
            <td />
            {sides.map((side) => <th scope="col" key={side}>{capital(side)}</th>)}
          </tr>
        </thead>
        <tbody>
          {FILE_LINES.map(([name, value]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              {sides.map((side) => <td key={side}>{count(value(files[side]!))}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </Section>
  );
}

function ConflictSection({ report }: { report: AuditReport }) {
  const { conflict_examples, labels, label_names, files } = report;
  if (conflict_examples.length === 0) return null;
  const nameOf = (label: string) => label_names[labels.indexOf(label)] ?? label;
  return (
    <Section title="Training texts with several labels">
      <p>
        {count(conflict_examples.length)} of{" "}
        {count(files.train!.conflicting_texts)}: no model can be right on all their rows.
      </p>
      <table>
        <thead>
          <tr>
            <th scope="col">Text</th>
            <th scope="col" class="text">Labels</th>
          </tr>
        </thead>
        <tbody>
          {conflict_examples.map(({ text, labels }, i) => (
            <tr key={i}>
              <td class="text" dir="auto">{text}</td>
              <td class="text">
                <bdi>{labels.map(nameOf).join(", ")}</bdi>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Section>
  );
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
