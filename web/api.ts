/**
 * The server's routes, with the types from its own description.
 *
 * @module
 */
import { signal } from "@preact/signals";
import createClient from "openapi-fetch";
import type { components, paths } from "./openapi.ts";

/** The types of the server's answers. */
export type Schemas = components["schemas"];

/** A training run. */
export type Run = Schemas["Run"];

/** The history of a run, for charts. */
export type RunHistory = Schemas["RunHistory"];

/** The server may be behind a proxy, under a path of its own. */
const BASE = new URL(".", location.href).href.replace(/\/$/, "");

const PROBE_INTERVAL_MS = 1000;

/** Whether the server answers. */
export const isOnline = signal(true);

/** Whether the server asks for a key. */
export const needsKey = signal(false);

/** Counts returns of the server and accepted keys; after each, views ask for their data again. */
export const freshness = signal(0);

/** An answer that is an error. */
export class AnswerError extends Error {
  override name = "AnswerError";
  /** The HTTP status. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }

  /** The field at fault, if the message begins with one. */
  get field(): string | undefined {
    return /^'([^']+)': /.exec(this.message)?.[1];
  }

  /** The message without the field. */
  get rule(): string {
    return this.message.replace(/^'[^']+': /, "");
  }
}

/** The server could not be reached. */
export class UnreachableError extends Error {
  override name = "UnreachableError";
}

/** Asks the server. */
export const client = createClient<paths>({ baseUrl: BASE, fetch: fetchWatched });

/** The address of a path of the server. */
export function addressOf(path: string): string {
  return BASE + path;
}

/**
 * The content of an answer.
 *
 * @throws {AnswerError} If it is an error.
 * @throws {UnreachableError} If there is none.
 */
export async function answered<Data>(
  request: Promise<{ data?: Data; error?: unknown; response: Response }>,
): Promise<Data> {
  const { data, error, response } = await request;
  if (response.ok) return data as Data;
  const message = (error as { error?: unknown } | undefined)?.error;
  throw new AnswerError(
    response.status,
    typeof message === "string" ? message : `The server answered with status ${response.status}`,
  );
}

async function fetchWatched(request: Request): Promise<Response> {
  try {
    const response = await fetch(request);
    if (response.status === 401) needsKey.value = true;
    return response;
  } catch (error) {
    if (request.signal.aborted) throw error;
    watchForReturn();
    throw new UnreachableError("The server does not answer", { cause: error });
  }
}

/** Reports that the server is gone, and looks for it until it is back. */
function watchForReturn(): void {
  if (!isOnline.peek()) return;
  isOnline.value = false;
  const probe = async () => {
    try {
      const { ok } = await fetch(addressOf("/health/live"));
      if (ok) {
        isOnline.value = true;
        freshness.value++;
        return;
      }
    } catch {
      // It is not back yet.
    }
    setTimeout(probe, PROBE_INTERVAL_MS);
  };
  setTimeout(probe, PROBE_INTERVAL_MS);
}
