/**
 * Light or dark: the system's theme, or the reader's choice.
 *
 * @module
 */
import { effect, signal } from "@preact/signals";

const KEY = "graft.theme";

/** The choices. */
export const THEMES = ["auto", "light", "dark"] as const;

/** One of {@link THEMES}. */
export type Theme = (typeof THEMES)[number];

/** The reader's choice. */
export const theme = signal<Theme>(THEMES.find((it) => it === localStorage.getItem(KEY)) ?? "auto");

/** Counts changes of the colours, for drawings on a canvas. */
export const coloursChanged = signal(0);

effect(() => {
  localStorage.setItem(KEY, theme.value);
  document.documentElement.dataset["theme"] = theme.value;
  coloursChanged.value = coloursChanged.peek() + 1;
});

matchMedia("(prefers-color-scheme: dark)")
  .addEventListener("change", () => coloursChanged.value++);

/** The current value of a custom property. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
