/**
 * Predicted numbers beside the true ones: a dot each, and the error of each range.
 *
 * @module
 */
import type { Schemas } from "../api.ts";
import { count, decimals, digits } from "../format.ts";

const SIZE = 260;
const MARGIN = 48;

/** The picture, and a table of ranges; `onChoose` gets one, without an end if it is the last. */
export function ResidualsFigure(
  { residuals: { points, ranges }, onChoose }: {
    residuals: Schemas["Residuals"];
    onChoose: (from: number, to?: number) => void;
  },
) {
  const values = points.flat();
  const [lowest, highest] = [Math.min(...values), Math.max(...values)];
  const width = highest - lowest || 1;
  const share = (value: number) => (value - lowest) / width;
  const across = (value: number) => MARGIN + share(value) * SIZE;
  const down = (value: number) => 8 + (1 - share(value)) * SIZE;
  const ticks = [0, 0.5, 1].map((it) => lowest + it * width);
  const worst = Math.max(...ranges.map((it) => it.mean_absolute_error)) || 1;
  return (
    <div class="residuals">
      <figure>
        <svg
          viewBox={`0 0 ${SIZE + MARGIN + 24} ${SIZE + 46}`}
          role="img"
          aria-label={`Predicted beside true numbers, from ${digits(lowest)} to ${
            digits(highest)
          }; ` +
            "the table of ranges says how far they are apart"}
        >
          {ticks.map((tick) => (
            <g key={tick}>
              <line
                class="grid"
                x1={across(lowest)}
                x2={MARGIN + SIZE}
                y1={down(tick)}
                y2={down(tick)}
              />
              <text class="y" x={MARGIN - 6} y={down(tick) + 4}>{digits(tick)}</text>
              <text class="x" x={across(tick)} y={SIZE + 24}>{digits(tick)}</text>
            </g>
          ))}
          {points.map(([label = 0, predicted = 0], i) => (
            <circle key={i} class="dot" cx={across(label)} cy={down(predicted)} r="2.5" />
          ))}
          <line
            class="diagonal"
            x1={across(lowest)}
            y1={down(lowest)}
            x2={MARGIN + SIZE}
            y2={down(lowest + width)}
          />
          <text class="x" x={MARGIN + SIZE / 2} y={SIZE + 42}>true</text>
        </svg>
        <figcaption class="soft small">
          Each dot is a text: the true number to the right, the predicted one upwards. On the line
          both are the same.
        </figcaption>
      </figure>
      <div class="table-box">
        <table class="table plain">
          <thead>
            <tr>
              <th scope="col">True number</th>
              <th scope="col" class="number">Mean error</th>
              <th scope="col" class="number middle-only">Too much or too little</th>
              <th scope="col" class="number">Texts</th>
            </tr>
          </thead>
          <tbody>
            {ranges.map(({ from, to, n, mean_error, mean_absolute_error }, i) => (
              <tr key={from}>
                <th scope="row">
                  <button
                    type="button"
                    class="link"
                    onClick={() => onChoose(from, i === ranges.length - 1 ? undefined : to)}
                  >
                    {digits(from)} to {digits(to)}
                  </button>
                </th>
                <td class="number">
                  <span class="error-bar" aria-hidden="true">
                    <i style={{ width: `${100 * mean_absolute_error / worst}%` }} />
                  </span>
                  {decimals(mean_absolute_error)}
                </td>
                <td class="number middle-only">
                  {mean_error > 0 ? "+" : ""}
                  {decimals(mean_error)}
                </td>
                <td class="number">{count(n)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}
