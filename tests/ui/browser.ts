/**
 * Debian's Chromium, for tests of the page.
 *
 * @module
 */
import fs from "node:fs";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";

const CHROMIUM = "/usr/bin/chromium";

// Playwright looks into /proc when it is imported, which Deno refuses by an error.
const { existsSync } = fs;
fs.existsSync = (path) => {
  try {
    return existsSync(path);
  } catch {
    return false;
  }
};

/** Whether there is a browser. */
export const hasBrowser = existsSync(CHROMIUM);
if (!hasBrowser) console.error(`Tests of the page are skipped: there is no ${CHROMIUM}`);

/** A page, with the faults that occur in it. */
export class WatchedPage implements AsyncDisposable {
  readonly page: Page;
  /** Errors, dialogs and violations of the content security policy. */
  readonly faults: string[] = [];
  readonly #browser: Browser;

  private constructor(browser: Browser, page: Page) {
    this.#browser = browser;
    this.page = page;
    page.on("pageerror", ({ message }) => this.faults.push(message));
    page.on("dialog", (dialog) => {
      this.faults.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on("console", (message) => {
      // The browser reports every answer that is an error, and a server that is gone.
      const isAnswer = /Failed to load resource|net::ERR_/.test(message.text());
      if (message.type() === "error" && !isAnswer) this.faults.push(message.text());
    });
  }

  /** Opens an address. */
  static async open(url: string, options: BrowserContextOptions = {}): Promise<WatchedPage> {
    const { chromium } = await import("playwright-core");
    // The sandbox needs rights that a container seldom gives; only our own page is opened.
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
    const context = await browser.newContext({
      viewport: { width: 1280, height: 900 },
      reducedMotion: "reduce",
      ...options,
    });
    const watched = new WatchedPage(browser, await context.newPage());
    await watched.page.goto(url);
    return watched;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
  }
}
