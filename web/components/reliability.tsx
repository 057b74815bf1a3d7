/**
 * The reliability diagram: whether scores match accuracy.
 *
 * @module
 */
import type { Schemas } from "../api.ts";
import { count, decimals, percent } from "../format.ts";

const SIZE = 220;
const MARGIN = 38;

/** Accuracy by score, with the line where both are equal. */
export function Reliability(
  { calibration: { bins, expected_calibration_error } }: { calibration: Schemas["Calibration"] },
) {
  const at = (share: number) => MARGIN + share * SIZE;
  const down = (share: number) => 8 + (1 - share) * SIZE;
  const most = Math.max(1, ...bins.map(({ n }) => n));
  const filled = bins.filter(({ n }) => n > 0);
  return (
    <figure class="reliability">
      <svg
        viewBox={`0 0 ${SIZE + MARGIN + 22} ${SIZE + 44}`}
        role="img"
        aria-label={`Reliability: ${
          filled.map(({ mean_score, accuracy, n }) =>
            `of ${n} texts with a score of about ${percent(mean_score)}, ${
              percent(accuracy)
            } are right`
          ).join("; ")
        }`}
      >
        {[0, 0.5, 1].map((share) => (
          <g key={share}>
            <line class="grid" x1={at(0)} x2={at(1)} y1={down(share)} y2={down(share)} />
            <text class="y" x={MARGIN - 5} y={down(share) + 4}>
              {percent(share).replace(/[.,]0/, "")}
            </text>
            <text class="x" x={at(share)} y={SIZE + 24}>{percent(share).replace(/[.,]0/, "")}</text>
          </g>
        ))}
        {filled.map(({ from, to, n, accuracy, mean_score }) => (
          <rect
            key={from}
            class="bar"
            x={at(from) + 1}
            width={SIZE * (to - from) - 2}
            y={down(accuracy)}
            height={SIZE * accuracy}
            opacity={0.35 + 0.65 * Math.sqrt(n / most)}
          >
            <title>
              {`${count(n)} texts score ${percent(mean_score)} in the mean; ${
                percent(accuracy)
              } are right`}
            </title>
          </rect>
        ))}
        <line class="diagonal" x1={at(0)} y1={down(0)} x2={at(1)} y2={down(1)} />
        <text class="x" x={at(0.5)} y={SIZE + 40}>score</text>
      </svg>
      <figcaption class="soft small">
        Bars show how many of the texts with such a score are right; on the line both are the same.
        Expected calibration error: <strong>{decimals(expected_calibration_error)}</strong>
      </figcaption>
    </figure>
  );
}
