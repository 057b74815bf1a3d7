/**
 * `GET /`: the page for people, with its script, style and icon. It gets all its data from the
 * other routes.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { compress } from "hono/compress";
import { routePath } from "hono/route";
import { hash } from "node:crypto";
import { createRouter } from "./router.ts";

/** The files that the page loads, by their paths; `deno task build:web` makes the script and the style. */
const FILES = {
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

/** The routes; the page stands at `/`, or at `/graft/` where they are mounted at `/graft`. */
export function pageRoutes(): OpenAPIHono {
  const router = createRouter();
  router.use("/ui/*", compress());
  const answerPage = answerWith("index.html", "text/html; charset=utf-8");
  // The page's own addresses are relative to a path that ends in a slash.
  router.get("/", (context) => {
    const { path } = context.req;
    if (path.endsWith("/")) return answerPage(context);
    return context.redirect(`${path}/${new URL(context.req.url).search}`);
  });
  // A route cannot end in a slash below the path at which it is mounted.
  router.use("/*", (context, next) => {
    const { path, method } = context.req;
    const isMountedPage = path !== "/" && `${path}*` === routePath(context) &&
      ["GET", "HEAD"].includes(method);
    return isMountedPage ? answerPage(context) : next();
  });
  for (const [path, [file, type]] of Object.entries(FILES)) {
    router.get(path, answerWith(file, type));
  }
  return router;
}

function answerWith(file: string, type: string): (context: Context) => Promise<Response> {
  // Read on demand: a server whose page nobody opens starts no later.
  let content: Promise<{ bytes: Uint8Array<ArrayBuffer>; etag: string }> | undefined;
  return async (context) => {
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
  };
}

async function readFile(file: string) {
  const bytes = await Deno.readFile(new URL(`../web/${file}`, import.meta.url));
  // Weak, as the server may compress it.
  return { bytes, etag: `W/"${hash("sha256", bytes).slice(0, 32)}"` };
}
