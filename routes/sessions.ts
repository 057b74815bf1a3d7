/**
 * `/v1/session`: keeps a key that was given once to the page on the server. The browser gets a
 * cookie that no script can read and that is sent from the server's own pages only.
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { HTTPException } from "hono/http-exception";
import { hash, randomBytes } from "node:crypto";
import { z } from "zod";
import { type ApiKey, keyOf, SCOPES, WrongKeys } from "./access.ts";
import { createRouter, declareRoute, errorAnswers, jsonBody, jsonContent } from "./router.ts";

const COOKIE = "graft_session";
const SESSION_SECONDS = 12 * 3600;
/** The most sessions; beyond them the oldest ends. */
const MAX_SESSIONS = 10_000;

/** The sessions of the page, by their cookies. */
export class Sessions {
  /** The sessions by the hash of the cookie, so that the memory's content opens nothing. */
  readonly #sessions = new Map<string, { key: ApiKey; endsAt: number }>();

  /** Begins a session, and returns the secret for its cookie. */
  begin(key: ApiKey): string {
    const secret = randomBytes(32).toString("base64url");
    const [oldest] = this.#sessions.keys();
    if (this.#sessions.size >= MAX_SESSIONS) this.#sessions.delete(oldest!);
    this.#sessions.set(hash("sha256", secret), {
      key,
      endsAt: performance.now() + 1000 * SESSION_SECONDS,
    });
    return secret;
  }

  /** The key of a session that has not ended. */
  keyOf(secret: string): ApiKey | undefined {
    const session = this.#sessions.get(hash("sha256", secret));
    return session !== undefined && session.endsAt > performance.now() ? session.key : undefined;
  }

  /** Ends a session. */
  end(secret: string): void {
    this.#sessions.delete(hash("sha256", secret));
  }
}

/**
 * The key of a request's session, if it has one.
 *
 * @throws {HTTPException} 403 if the request would change something and does not come from a page
 * of this server: browsers send cookies along automatically.
 */
export function sessionKey(context: Context, sessions: Sessions): ApiKey | undefined {
  const secret = getCookie(context, COOKIE);
  const key = secret === undefined ? undefined : sessions.keyOf(secret);
  if (key === undefined) return undefined;
  const { method } = context.req;
  if (method !== "GET" && method !== "HEAD" && !isFromOwnPage(context)) {
    const message = "A request with a session must come from a page of this server";
    throw new HTTPException(403, { message });
  }
  return key;
}

function isFromOwnPage(context: Context): boolean {
  const origin = context.req.header("Origin");
  return origin !== undefined && URL.parse(origin)?.host === context.req.header("Host");
}

const Session = z.object({
  needs_key: z.boolean().describe("Whether the server asks for a key, and was given none"),
  name: z.string().nullable().describe("The name of the key"),
  scopes: z.array(z.enum(SCOPES)).describe("The scopes of the page"),
}).meta({ id: "Session" });

const tags = ["session"];

const show = declareRoute({
  method: "get",
  path: "/v1/session",
  operationId: "getSession",
  scope: null,
  tags,
  summary: "The scopes of the page",
  responses: { 200: jsonContent(Session, "The session"), ...errorAnswers() },
});

const begin = declareRoute({
  method: "post",
  path: "/v1/session",
  operationId: "beginSession",
  scope: null,
  tags,
  summary: "Sign the page in with a key; the answer sets a cookie for 12 hours",
  request: {
    body: jsonBody(
      z.strictObject({ api_key: z.string().min(1).max(1000) }).meta({ id: "SessionRequest" }),
    ),
  },
  responses: { 200: jsonContent(Session, "The session"), ...errorAnswers(401, 422) },
});

const end = declareRoute({
  method: "delete",
  path: "/v1/session",
  operationId: "endSession",
  scope: null,
  tags,
  summary: "Sign the page out",
  responses: { 204: { description: "Signed out" }, ...errorAnswers() },
});

/** The routes. */
export function sessionRoutes(keys: readonly ApiKey[], sessions: Sessions): OpenAPIHono {
  const wrongKeys = new WrongKeys();
  const describe = (key: ApiKey | undefined): z.infer<typeof Session> => ({
    needs_key: keys.length > 0 && key === undefined,
    name: key?.name ?? null,
    scopes: keys.length === 0 ? [...SCOPES] : [...key?.scopes ?? []],
  });
  return createRouter()
    .openapi(show, (context) => context.json(describe(sessionKey(context, sessions)), 200))
    .openapi(begin, async (context) => {
      if (!isFromOwnPage(context)) {
        throw new HTTPException(403, { message: "A session begins in a page of this server" });
      }
      const key = keyOf(keys, context.req.valid("json").api_key);
      if (key === undefined) {
        await wrongKeys.slowDown();
        throw new HTTPException(401, { message: "There is no such key" });
      }
      setCookie(context, COOKIE, sessions.begin(key), {
        httpOnly: true,
        sameSite: "Strict",
        secure: new URL(context.req.header("Origin")!).protocol === "https:",
        path: "/",
        maxAge: SESSION_SECONDS,
      });
      return context.json(describe(key), 200);
    })
    .openapi(end, (context) => {
      const secret = getCookie(context, COOKIE);
      if (secret !== undefined) sessions.end(secret);
      deleteCookie(context, COOKIE, { path: "/" });
      return context.body(null, 204);
    });
}
