/**
 * The audit of a data set as a page of its own, without scripts or network.
 *
 * @module
 */
import { renderToString } from "preact-render-to-string";
import type { Schemas } from "./api.ts";
import { Audit } from "./components/audit.tsx";

/** The texts of {@link auditDocument} beside the report. */
export interface AuditDocumentOptions {
  /** The name of the data set. */
  name: string;
  /** The size of the data set, in a sentence. */
  lead: string;
  /** The method of finding near duplicates. */
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
