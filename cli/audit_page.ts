/**
 * Audits of data sets as one self-contained HTML page.
 *
 * @module
 */
import { basename, resolve } from "node:path";
import type { AuditReport } from "../data/preparation/audit.ts";
import { SIDES } from "../data/preparation/split.ts";
import { count } from "../lib/format.ts";
import { auditDocument } from "../web/audit_document.tsx";
import { classCount } from "./audit_report.ts";

const STYLES = ["tokens.css", "document.css", "audit.css"];

/** A page with the leakage, baselines, classes and lengths as pictures. */
export async function auditPage(report: AuditReport): Promise<string> {
  const { dir, files, leakage, near_duplicates: { method, threshold } } = report;
  const rows = SIDES.reduce((sum, side) => sum + (files[side]?.rows ?? 0), 0);
  const styles = await Promise.all(
    STYLES.map((file) => Deno.readTextFile(new URL(`../web/${file}`, import.meta.url))),
  );
  return auditDocument(report, {
    name: basename(resolve(dir)),
    lead: `${count(rows)} rows${classCount(report)}. ${leakage}`,
    footer: `Made by deno task data audit. Near duplicates: ${method} of at least ${threshold}.`,
    style: styles.join("\n"),
  });
}
