/**
 * Measurements side by side, and their form in Markdown.
 *
 * @module
 */

import type { Machine } from "../machine.ts";

/** The unit of a comparison: of a time, which should be short, or a rate, which should be high. */
export type Unit = "ms" | "s" | "GFLOP/s" | "texts/s";

/** A measured value, or why there is none. */
export type Figure = number | string;

/** Graft and a peer, measured in turn. */
export interface Comparison {
  /** The task of both. */
  what: string;
  unit: Unit;
  graft: Figure;
  /** The peer's name. */
  peer: string;
  peer_figure: Figure;
  /** The least {@link ratio} that the project wants; only in the JSON. */
  target: number;
}

/** Comparisons that were measured together. */
export interface Section {
  title: string;
  /** Day, month and year, as in `2026-05-31`. */
  date: string;
  machine: Machine;
  /** Versions by the names of the programs. */
  versions: Record<string, string>;
  comparisons: Comparison[];
  /** The method of measurement. */
  note: string;
}

/** How many times as fast as the peer Graft is; `undefined` unless both were measured. */
export function ratio({ unit, graft, peer_figure: peer }: Comparison): number | undefined {
  if (typeof graft === "string" || typeof peer === "string") return undefined;
  return unit === "ms" || unit === "s" ? peer / graft : graft / peer;
}

/** A section in Markdown, with the table's columns unaligned. */
export function formatSection(
  { title, date, machine, versions, comparisons, note }: Section,
): string {
  const rows = comparisons.map((comparison) => {
    const { what, unit, graft, peer, peer_figure } = comparison;
    const times = ratio(comparison);
    return [
      what,
      formatFigure(graft, unit),
      `${peer}: ${formatFigure(peer_figure, unit)}`,
      times === undefined ? "" : threeDigits(times),
    ];
  });
  const table = [
    ["", "Graft", "beside it", "ratio"],
    ["---", "---", "---", "--:"],
    ...rows,
  ].map((cells) => `| ${cells.join(" | ")} |`);
  const names = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const { cpu, logical_cores, os, threads } = machine;
  return `## ${title}

${date}, ${cpu}, ${count(logical_cores, "core")}, ${count(threads, "thread")}, ${os}; ${
    names.join(", ")
  }.

${table.join("\n")}

${note}
`;
}

/** The sections of a Markdown text by title, in order. */
export function sectionsOf(markdown: string): Map<string, string> {
  const sections = markdown.split(/^(?=## )/m).slice(1);
  return new Map(
    sections.map((section) => [section.slice(3, section.indexOf("\n")), section.trimEnd() + "\n"]),
  );
}

function formatFigure(figure: Figure, unit: Unit): string {
  return typeof figure === "string" ? figure : `${threeDigits(figure)} ${unit}`;
}

function threeDigits(value: number): string {
  return value.toLocaleString("en", value < 100 ? THREE_DIGITS : WHOLE);
}

const THREE_DIGITS = { minimumSignificantDigits: 3, maximumSignificantDigits: 3 };
const WHOLE = { maximumFractionDigits: 0 };

/** `1 core`, `2 cores` */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
