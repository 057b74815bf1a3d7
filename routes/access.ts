/**
 * Access control: API keys with scopes, limits on their requests, and pages of other sites.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHash, timingSafeEqual } from "node:crypto";
import type { Context, MiddlewareHandler } from "hono";
import { HTTPException } from "hono/http-exception";
import { z } from "zod";
import { retryLater } from "./errors.ts";

/** The scope of a key: to predict and read, or to train and change models. */
export type Scope = "predict" | "manage";

/** All scopes. */
export const SCOPES: readonly Scope[] = ["predict", "manage"];

/** A key that may use the server. */
export interface ApiKey {
  /** The key's name in logs. */
  name: string;
  /** The SHA-256 of the key. */
  sha256: Uint8Array;
  /** The scopes that it has. */
  scopes: readonly Scope[];
  /** The most requests in a minute; by default the limit of all keys. */
  requestsPerMinute?: number | undefined;
}

/** The name under which a cluster keeps the keys for all its servers. */
export const API_KEYS = "api_keys";

/** The schema of a file of keys, which holds their hashes rather than the keys. */
export const ApiKeyFile = z.strictObject({
  keys: z.array(z.strictObject({
    name: z.string().min(1),
    sha256: z.string().regex(/^[0-9a-f]{64}$/i, "must be 64 hexadecimal digits"),
    scopes: z.array(z.enum(SCOPES)).min(1).default([...SCOPES]),
    requests_per_minute: z.int().min(1).optional(),
  })).min(1, "must hold a key"),
});

/** The keys of a file. */
export function apiKeysOf({ keys }: z.infer<typeof ApiKeyFile>): ApiKey[] {
  return keys.map(({ name, sha256, scopes, requests_per_minute }) => ({
    name,
    sha256: Buffer.from(sha256, "hex"),
    scopes,
    requestsPerMinute: requests_per_minute,
  }));
}

/** The variable that holds a key with all scopes. */
export const API_KEY_VARIABLE = "GRAFT_API_KEY";

/** A key with all scopes. */
export function apiKey(name: string, key: string): ApiKey {
  return { name, sha256: sha256(key), scopes: SCOPES };
}

/**
 * Admits requests whose key, `Authorization: Bearer KEY`, has the scope of their route; without any
 * keys, all requests. The key's name is `apiKey` in the context.
 *
 * @param requestsPerMinute The limit of each key that has none of its own, and of all requests
 * together if there are no keys.
 * @param sessionKey The key of a request that has none of its own, if its session has one.
 * @returns A function that throws an HTTPException: 401 without a known key, 403 if the key lacks
 * the scope, 429 if it has used up its requests.
 */
export function accessCheck(
  keys: readonly ApiKey[],
  requestsPerMinute: number | undefined,
  sessionKey: (context: Context) => ApiKey | undefined = () => undefined,
): (context: Context, scope: Scope) => Promise<void> {
  const wrongKeys = new WrongKeys();
  const limits = new Map<ApiKey | undefined, RateLimit>();
  // Keys may be added and removed.
  const limitOf = (key: ApiKey | undefined) => {
    const perMinute = key?.requestsPerMinute ?? requestsPerMinute;
    if (perMinute === undefined) return undefined;
    const limit = limits.get(key) ?? new RateLimit(perMinute);
    limits.set(key, limit);
    return limit;
  };
  return async (context, scope) => {
    const key = keys.length === 0 ? undefined : requestKey(keys, context, sessionKey);
    if (key === undefined && keys.length > 0) {
      const given = context.req.header("Authorization");
      if (given !== undefined) await wrongKeys.slowDown();
      throw new HTTPException(401, {
        message: given === undefined
          ? "An API key is needed: Authorization: Bearer KEY"
          : "The API key is not known; it is given as Authorization: Bearer KEY",
        res: new Response(null, { headers: { "WWW-Authenticate": "Bearer" } }),
      });
    }
    if (key !== undefined) {
      context.set("apiKey", key.name);
      if (!key.scopes.includes(scope)) {
        throw new HTTPException(403, { message: `The API key lacks the scope '${scope}'` });
      }
    }
    const waitSeconds = limitOf(key)?.take(performance.now()) ?? 0;
    if (waitSeconds > 0) {
      const whose = key === undefined ? "" : " of this key";
      throw retryLater(429, `There are too many requests${whose}`, Math.ceil(waitSeconds));
    }
  };
}

function requestKey(
  keys: readonly ApiKey[],
  context: Context,
  sessionKey: (context: Context) => ApiKey | undefined,
): ApiKey | undefined {
  const authorization = context.req.header("Authorization");
  const [, given] = /^Bearer +(.+)$/i.exec(authorization ?? "") ?? [];
  return authorization === undefined ? sessionKey(context) : keyOf(keys, given ?? "");
}

/**
 * The number of wrong keys per minute that are answered at once; further ones wait longer and
 * longer, in case somebody tries keys out.
 */
const FREE_MISTAKES = 60;
const DELAY_MS = 100;
const MAX_DELAY_MS = 2000;
/** The most requests that wait at once, as each holds a connection. */
const MAX_DELAYED = 50;

/** Slows down requests with unknown keys. */
export class WrongKeys {
  #givenAt: number[] = [];
  #delayed = 0;

  /** Resolves when the answer may be given. */
  async slowDown(): Promise<void> {
    const now = performance.now();
    this.#givenAt = [...this.#givenAt.filter((at) => at > now - 60_000), now].slice(-1000);
    const delayMs = Math.min(MAX_DELAY_MS, DELAY_MS * (this.#givenAt.length - FREE_MISTAKES));
    if (delayMs <= 0 || this.#delayed >= MAX_DELAYED) return;
    this.#delayed++;
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    this.#delayed--;
  }
}

/** The key with this secret, if there is one. */
export function keyOf(keys: readonly ApiKey[], given: string): ApiKey | undefined {
  const hash = sha256(given);
  // All keys are compared, each in constant time, so that the time reveals nothing about a key.
  const [found] = keys.filter((key) => timingSafeEqual(key.sha256, hash));
  return given === "" ? undefined : found;
}

/** A token bucket that fills evenly and holds a minute's requests. */
export class RateLimit {
  readonly #perMinute: number;
  #left: number;
  #filledAt = 0;

  constructor(perMinute: number) {
    this.#perMinute = perMinute;
    this.#left = perMinute;
  }

  /**
   * Takes a request out of the bucket.
   *
   * @param nowMs The time, by a clock that never goes back.
   * @returns The seconds until a request is available; 0 if one was taken.
   */
  take(nowMs: number): number {
    const filled = (nowMs - this.#filledAt) / 60_000 * this.#perMinute;
    this.#left = Math.min(this.#perMinute, this.#left + filled);
    this.#filledAt = nowMs;
    if (this.#left < 1) return (1 - this.#left) * 60 / this.#perMinute;
    this.#left--;
    return 0;
  }
}

/**
 * Keeps web pages of other sites from using a server that their visitors can reach.
 *
 * @param allowed The origins that may use it; `*` stands for all.
 */
export function refuseForeignOrigins(allowed: readonly string[]): MiddlewareHandler {
  return async (context, next) => {
    const origin = context.req.header("Origin");
    if (origin !== undefined && !allowed.includes(origin) && !allowed.includes("*")) {
      const host = URL.parse(origin)?.host;
      if (host === undefined || host !== context.req.header("Host")) {
        throw new HTTPException(403, { message: `Requests from ${origin} are not allowed` });
      }
    }
    await next();
  };
}

const HOST = /^(?:\[[\da-f:.]+\]|[\w.-]*)(?::\d{1,5})?$/i;

/** Refuses a malformed `Host`, from which no URL can be made. */
export const refuseMalformedHost: MiddlewareHandler = async (context, next) => {
  const host = context.req.header("Host") ?? "";
  if (!HOST.test(host) || !URL.canParse(context.req.url)) {
    throw new HTTPException(400, { message: `The Host header must be a host, and is '${host}'` });
  }
  await next();
};

/**
 * Keeps web pages from a server that listens only on this machine if they reach it by a name of
 * their own that now resolves to this machine (DNS rebinding): to the browser such a page and the
 * server are one site.
 */
export const refuseForeignHost: MiddlewareHandler = async (context, next) => {
  const { hostname } = new URL(context.req.url);
  if (!isLoopback(hostname.replace(/^\[(.*)\]$/, "$1"))) {
    throw new HTTPException(403, { message: `Requests to '${hostname}' are not answered here` });
  }
  await next();
};

/** Whether an address can only be reached from this machine. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
