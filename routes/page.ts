/**
 * `GET /`: the page for people, with its script, style and icon. It gets all its data from the
 * other routes.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { compress } from "hono/compress";
import { hash } from "node:crypto";
import { createRouter } from "./router.ts";

/** The files of the page by their paths; `deno task build:web` makes the script and the style. */
const FILES = {
  "/": ["index.html", "text/html; charset=utf-8"],
  "/ui/app.js": ["dist/main.js", "text/javascript; charset=utf-8"],
  "/ui/app.css": ["dist/main.css", "text/css; charset=utf-8"],
  "/ui/icon.svg": ["icon.svg", "image/svg+xml"],
} as const;

/** Nothing is loaded from elsewhere, and no code in the page itself is run. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join("; ");

/** The routes. */
export function pageRoutes(): OpenAPIHono {
  const router = createRouter();
  router.use("/ui/*", compress());
  for (const [path, [file, type]] of Object.entries(FILES)) {
    // Read on demand: a server whose page nobody opens starts no later.
    let content: Promise<{ bytes: Uint8Array<ArrayBuffer>; etag: string }> | undefined;
    router.get(path, async (context) => {
      const { bytes, etag } = await (content ??= readFile(file));
      const headers = {
        "Content-Type": type,
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
        ETag: etag,
      };
      if (context.req.header("If-None-Match") === etag) return context.body(null, 304, headers);
      return context.body(bytes, 200, headers);
    });
  }
  return router;
}

async function readFile(file: string) {
  const bytes = await Deno.readFile(new URL(`../web/${file}`, import.meta.url));
  // Weak, as the server may compress it.
  return { bytes, etag: `W/"${hash("sha256", bytes).slice(0, 32)}"` };
}
