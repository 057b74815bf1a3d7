/**
 * The end of a server: accepted requests are answered, and no more are accepted.
 *
 * @module
 */
import type { MiddlewareHandler } from "hono";
import { aboutToStop } from "./errors.ts";

/** Counts the requests that are being answered. */
export class Drain {
  #open = 0;
  #draining = false;
  readonly #drained = Promise.withResolvers<void>();

  /** Counts a request until it has a response, or refuses it with 503. */
  readonly takeRequests: MiddlewareHandler = async (context, next) => {
    if (this.#draining) {
      context.header("Connection", "close");
      throw aboutToStop();
    }
    this.#open++;
    try {
      await next();
    } finally {
      this.#open--;
      this.#resolve();
    }
  };

  /**
   * Accepts no more requests, and waits for the responses to accepted ones. A response that is a
   * stream may still be on its way then.
   */
  drain(): Promise<void> {
    this.#draining = true;
    this.#resolve();
    return this.#drained.promise;
  }

  #resolve(): void {
    if (this.#draining && this.#open === 0) this.#drained.resolve();
  }
}
