/**
 * Light or dark: as the system has it, or as the reader chose.
 *
 * @module
 */
import { effect, signal } from "@preact/signals";

const KEY = "graft.theme";

/** What can be chosen. */
export const THEMES = ["auto", "light", "dark"] as const;

/** One of {@link THEMES}. */
export type Theme = (typeof THEMES)[number];

/** What was chosen. */
export const theme = signal<Theme>(THEMES.find((it) => it === localStorage.getItem(KEY)) ?? "auto");

/** Counts changes of the colours, for what is drawn on a canvas. */
export const coloursChanged = signal(0);

effect(() => {
  localStorage.setItem(KEY, theme.value);
  document.documentElement.dataset["theme"] = theme.value;
  coloursChanged.value = coloursChanged.peek() + 1;
});

matchMedia("(prefers-color-scheme: dark)")
  .addEventListener("change", () => coloursChanged.value++);

/** The present value of a custom property. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
