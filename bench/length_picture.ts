/**
 * The picture of steps over the length of their texts.
 *
 * @module
 */

/** What a step takes at one length. */
export interface LengthMeasure {
  /** The tokens of each text. */
  length: number;
  stepMs: number;
  /** The most resident memory of the whole process. */
  peakBytes: number;
}

/** The measures of one program. */
export interface LengthSeries {
  name: string;
  results: readonly LengthMeasure[];
}

const WIDTH = 830;
const HEIGHT = 340;
const PANEL = 300;
const TOP = 70;
const BOTTOM = HEIGHT - 40;
const COLOURS = ["#0b6e4f", "#c8553d"];

/** Draws time and memory side by side, as SVG, each with both axes from zero. */
export function lengthPicture(title: string, series: readonly LengthSeries[]): string {
  const panels = [
    panel(60, "seconds a step", series, ({ stepMs }) => stepMs / 1000),
    panel(60 + PANEL + 100, "peak memory, GB", series, ({ peakBytes }) => peakBytes / 1e9),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#fff"/>
${text(WIDTH / 2, 20, title, "middle")}
${panels.flat().join("\n")}
</svg>
`;
}

function panel(
  left: number,
  heading: string,
  series: readonly LengthSeries[],
  valueOf: (measure: LengthMeasure) => number,
): string[] {
  const all = series.flatMap(({ results }) => results);
  const [mostTokens, most] = [
    Math.max(...all.map(({ length }) => length)),
    roundUp(Math.max(...all.map(valueOf))),
  ];
  const x = (length: number) => Math.round(left + length / mostTokens * PANEL);
  const y = (value: number) => Math.round(BOTTOM - value / most * (BOTTOM - TOP));
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => share * most);
  const lengths = [...new Set(all.map(({ length }) => length))];
  return [
    text(left, TOP - 22, heading),
    ...ticks.flatMap((value) => [
      `<path d="M${left} ${y(value)}H${left + PANEL}" stroke="#ddd"/>`,
      text(left - 6, y(value) + 4, String(Number(value.toPrecision(3))), "end"),
    ]),
    ...lengths.filter((length) => length >= mostTokens / 8)
      .map((length) => text(x(length), BOTTOM + 18, String(length), "middle")),
    text(left + PANEL / 2, BOTTOM + 34, "tokens a text", "middle"),
    ...series.flatMap(({ name, results }, i) => {
      const points = results.map((result) => [x(result.length), y(valueOf(result))] as const);
      const [, lastY] = points.at(-1)!;
      const colour = COLOURS[i % COLOURS.length]!;
      return [
        `<polyline points="${points.join(" ")}" fill="none" stroke="${colour}" stroke-width="2"/>`,
        ...points.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="3" fill="${colour}"/>`),
        text(left + PANEL + 6, lastY + 4, name, "start", colour),
      ];
    }),
  ];
}

/** The next of 1, 2, 4, 6, 8 and 10 times a power of ten. */
function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 4, 6, 8].find((step) => step * power >= value) ?? 10) * power;
}

function text(x: number, y: number, content: string, anchor = "start", fill = "#222"): string {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}" fill="${fill}">${content}</text>`;
}
