/**
 * The end of a server: what it took is answered, and nothing more is taken.
 *
 * @module
 */
import type { MiddlewareHandler } from "hono";
import { aboutToStop } from "./errors.ts";

/** Knows how many requests are being answered. */
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
   * Takes no more requests, and waits for responses to those that were taken. A response that is
   * a stream may still be on its way then.
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
