/**
 * A function for a host that starts processes as requests come, and stops them when there are none:
 * `deno serve --allow-read --allow-env=MODEL examples/serverless.ts`. The model is loaded while the
 * first request is read.
 *
 * @module
 */
import { type Classifier, loadClassifier } from "@graft/graft";

const model: Promise<Classifier> = loadClassifier(Deno.env.get("MODEL") ?? "runs/titles", {
  device: "wasm",
});

export default {
  async fetch(request: Request): Promise<Response> {
    const body: unknown = await request.json().catch(() => undefined);
    if (!isTexts(body)) {
      return Response.json({ error: "Expected a list of texts as JSON" }, { status: 422 });
    }
    return Response.json(await (await model).classify(body));
  },
} satisfies Deno.ServeDefaultExport;

function isTexts(body: unknown): body is string[] {
  return Array.isArray(body) && body.every((text) => typeof text === "string");
}
