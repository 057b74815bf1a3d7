/**
 * The picture of a search for settings.
 *
 * @module
 */
import { trialComparison, type Trials } from "./trials.ts";

const WIDTH = 640;
const HEIGHT = 400;
const MARGIN = 56;
/** The colour of a dot by the share of its steps that the trial got: darker for a larger one. */
const COLOURS: Readonly<Record<number, string>> = { 0.25: "#9ecae1", 0.5: "#4292c6", 1: "#08306b" };

/** Draws the value of each trial over its learning rate, as SVG. */
export function tunePicture(
  { settings, trials, results }: Pick<Trials, "settings" | "trials" | "results">,
): string {
  const rates = results.map(({ trial }) => Math.log10(trials[trial]!.learningRate));
  const values = results.map(({ value }) => value);
  const x = scale(rates, MARGIN, WIDTH - MARGIN);
  const y = scale(values, HEIGHT - MARGIN, MARGIN);
  const dots = results.map(({ trial, share, value }) => {
    const { learningRate, epochs } = trials[trial]!;
    const title = `${learningRate}, ${epochs} epochs, ${100 * share} % of the steps: ${value}`;
    return `<circle cx="${x(Math.log10(learningRate))}" cy="${y(value)}" r="6" fill="${
      COLOURS[share] ?? "#888"
    }"${trial === 0 ? ' stroke="#d62728" stroke-width="2"' : ""}><title>${title}</title></circle>`;
  });
  const { metric } = trialComparison(settings);
  const ends = results.length === 0 ? [] : [
    label(MARGIN, HEIGHT - 24, (10 ** Math.min(...rates)).toPrecision(2)),
    label(WIDTH - MARGIN, HEIGHT - 24, (10 ** Math.max(...rates)).toPrecision(2), "end"),
    label(8, HEIGHT - MARGIN, Math.min(...values).toFixed(3)),
    label(8, MARGIN, Math.max(...values).toFixed(3)),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="13">
<rect width="100%" height="100%" fill="#fff"/>
<path d="M${MARGIN} ${MARGIN - 16}V${HEIGHT - MARGIN + 16}H${
    WIDTH - MARGIN + 16
  }" fill="none" stroke="#888"/>
${label(MARGIN, 24, `Validation ${metric} over the learning rate`)}
${label(WIDTH - MARGIN, 24, "light: a quarter of the steps, dark: all; ringed: defaults", "end")}
${[...ends, ...dots].join("\n")}
</svg>
`;
}

/** A function that places values between two ends; in the middle where all are equal. */
function scale(values: readonly number[], from: number, to: number): (value: number) => number {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return (value) => {
    const share = high > low ? (value - low) / (high - low) : 0.5;
    return Math.round(from + share * (to - from));
  };
}

function label(x: number, y: number, text: string, anchor = "start"): string {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}">${text}</text>`;
}
