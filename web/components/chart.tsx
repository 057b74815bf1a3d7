/**
 * Curves over steps.
 *
 * @module
 */
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { digits, short } from "../format.ts";
import { colour, coloursChanged } from "../theme.ts";

/** A curve: the y of each x, `null` if there is none. */
export interface Curve {
  name: string;
  x: readonly number[];
  y: readonly (number | null)[];
  /** The number of its colour. */
  colour: number;
  /** A pale line behind others, which has no name in the legend. */
  pale?: boolean;
  dashed?: boolean;
  points?: boolean;
}

/** How a chart is drawn. */
export interface ChartProps {
  title: string;
  curves: readonly Curve[];
  /** A description for screen readers. */
  summary: string;
  height?: number;
  /** The lowest and highest y; by default those of the curves. */
  range?: [number, number];
  log?: boolean;
  format?: (value: number) => string;
}

/** Synchronises the cursor at the same step in all charts of a view. */
const SYNC = uPlot.sync("steps");

/** The number of colours of curves. */
export const COLOURS = 8;

/** A chart as wide as its container. */
export function Chart(props: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<{ uplot: uPlot; shape: string }>();
  const shape = JSON.stringify([
    coloursChanged.value,
    props.log,
    props.range,
    props.height,
    props.curves.map(({ name, colour, pale, dashed, points }) => [
      name,
      colour,
      pale,
      dashed,
      points,
    ]),
  ]);
  useEffect(() => {
    const parent = box.current!;
    const data = aligned(props.curves);
    if (plot.current?.shape === shape) {
      plot.current.uplot.setData(data);
      return;
    }
    plot.current?.uplot.destroy();
    plot.current = { uplot: new uPlot(optionsOf(props, parent.clientWidth), data, parent), shape };
  });
  useEffect(() => {
    const resized = new ResizeObserver(() => {
      const width = box.current!.clientWidth;
      if (width > 0) plot.current?.uplot.setSize({ width, height: props.height ?? HEIGHT });
    });
    resized.observe(box.current!);
    return () => {
      resized.disconnect();
      plot.current?.uplot.destroy();
      plot.current = undefined;
    };
  }, []);
  return (
    <figure class="chart">
      <figcaption>{props.title}</figcaption>
      <div ref={box} role="img" aria-label={`${props.title}: ${props.summary}`} />
    </figure>
  );
}

const HEIGHT = 220;

function optionsOf(
  { curves, height = HEIGHT, range, log = false, format = digits }: ChartProps,
  width: number,
): uPlot.Options {
  const grid = { stroke: colour("--line"), width: 1 };
  const axis: uPlot.Axis = {
    stroke: colour("--soft"),
    grid,
    ticks: { show: false },
    font: "12px system-ui, sans-serif",
  };
  return {
    width,
    height,
    cursor: { sync: { key: SYNC.key }, points: { size: 7 }, y: false },
    legend: { live: true },
    scales: {
      x: { time: false },
      y: {
        distr: log ? 3 : 1,
        ...range !== undefined && { range: () => range },
      },
    },
    axes: [
      { ...axis, space: 70, size: 30, values: (_, values) => values.map((it) => short(it)) },
      {
        ...axis,
        size: 56,
        space: 40,
        values: (_, values) => values.map((it) => it === null ? "" : format(it)),
      },
    ],
    series: [
      { label: "Step", value: (_, value) => value === null ? "–" : short(value) },
      ...curves.map((curve): uPlot.Series => ({
        label: curve.name,
        stroke: colour(`--series-${curve.colour % COLOURS}`),
        alpha: curve.pale === true ? 0.25 : 1,
        width: curve.pale === true ? 1 : 1.75,
        spanGaps: true,
        points: { show: curve.points === true, size: 6, fill: colour("--surface") },
        value: (_, value) => value === null ? "–" : format(value),
        ...curve.dashed === true && { dash: [6, 4] },
      })),
    ],
    hooks: {
      // A line behind another needs no name of its own.
      init: [(plot) => {
        const rows = plot.root.querySelectorAll(".u-legend .u-series");
        curves.forEach(({ pale }, i) => {
          if (pale === true) rows[i + 1]?.classList.add("hidden");
        });
      }],
    },
  };
}

/** All curves over the x of any. */
function aligned(curves: readonly Curve[]): uPlot.AlignedData {
  const [first] = curves;
  if (first === undefined) return [[]];
  if (curves.every(({ x }) => x === first.x)) {
    return [[...first.x], ...curves.map(({ y }) => [...y])];
  }
  return uPlot.join(curves.map(({ x, y }): uPlot.AlignedData => [[...x], [...y]]));
}

/** Each value's mean with those before it, whose weights fade by a factor per step. */
export function smoothed(values: readonly number[], factor: number): number[] {
  let [sum, weight] = [0, 0];
  return values.map((value) => {
    sum = factor * sum + value;
    weight = factor * weight + 1;
    return sum / weight;
  });
}
