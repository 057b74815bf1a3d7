/**
 * The audit of a data set as a page of its own, which needs no script and no network.
 *
 * @module
 */
import { renderToString } from "preact-render-to-string";
import type { Schemas } from "./api.ts";
import { Audit } from "./components/audit.tsx";

/** What {@link auditDocument} shows beside the report. */
export interface AuditDocumentOptions {
  /** Of the data set. */
  name: string;
  /** How much there is, in a sentence. */
  lead: string;
  /** How near duplicates were found. */
  footer: string;
  /** The style of the page. */
  style: string;
}

/** The page in HTML. */
export function auditDocument(
  report: Schemas["AuditReport"],
  { name, lead, footer, style }: AuditDocumentOptions,
): string {
  const page = renderToString(
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>Audit of {name}</title>
        <style>STYLE</style>
      </head>
      <body>
        <header>
          <p class="kicker">Data audit</p>
          <h1>
            <bdi>{name}</bdi>
          </h1>
          <p class="lead">{lead}</p>
        </header>
        <main>
          <Audit report={report} />
        </main>
        <footer>{footer}</footer>
      </body>
    </html>,
  );
  // Text in an element `style` is no HTML, and would be escaped.
  return `<!DOCTYPE html>\n${
    page.replace("<style>STYLE</style>", () => `<style>${style}</style>`)
  }\n`;
}
