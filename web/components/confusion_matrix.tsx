/**
 * The confusion matrix: the classes that are mistaken for each other.
 *
 * @module
 */
import { useEffect, useRef, useState } from "preact/hooks";
import { count, percent } from "../format.ts";
import { colour, coloursChanged } from "../theme.ts";
import { Choice } from "./basics.tsx";

/** The most classes of a table; with more the matrix is a picture, one point per cell. */
const MAX_TABLE = 24;
const MAX_CONFUSIONS = 12;

/** A cell of the matrix: the true class and the predicted one. */
export interface Cell {
  label: string;
  predicted: string;
}

/** The matrix to draw. */
export interface ConfusionMatrixProps {
  labels: readonly string[];
  /** Rows are true classes, columns predicted ones. */
  matrix: readonly (readonly number[])[];
  chosen: Partial<Cell>;
  onChoose: (cell: Cell) => void;
}

/** The matrix as a table of buttons, or as a picture with very many classes. */
export function ConfusionMatrix(props: ConfusionMatrixProps) {
  const [unit, setUnit] = useState<Unit>("counts");
  const isTable = props.labels.length <= MAX_TABLE;
  return (
    <div class="confusion">
      <div class="confusion-controls">
        <Choice
          label="Cells show"
          options={[["counts", "Counts"], ["shares", "Shares of the true class"]]}
          value={unit}
          onChange={setUnit}
        />
      </div>
      {isTable ? <MatrixTable {...props} unit={unit} /> : <MatrixPicture {...props} unit={unit} />}
      <Confusions {...props} />
    </div>
  );
}

type Unit = "counts" | "shares";

type MatrixProps = ConfusionMatrixProps & { unit: Unit };

function MatrixTable(
  { labels, matrix, chosen, onChoose, unit }: MatrixProps,
) {
  const totals = matrix.map((row) => row.reduce((sum, cell) => sum + cell, 0));
  const most = Math.max(1, ...matrix.flat());
  return (
    <div class="matrix-box">
      <table class="matrix">
        <caption class="hidden">
          Confusion matrix: rows are true classes, columns predicted ones
        </caption>
        <thead>
          <tr>
            <td class="corner">
              <span>true ↓</span> <span>predicted →</span>
            </td>
            {labels.map((label) => (
              <th scope="col" key={label} title={label}>
                <bdi>{label}</bdi>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {labels.map((label, i) => (
            <tr key={label}>
              <th scope="row" title={label}>
                <bdi>{label}</bdi>
              </th>
              {matrix[i]!.map((value, j) => {
                const share = totals[i] === 0 ? 0 : value / totals[i]!;
                const weight = unit === "shares" ? share : value / most;
                const isChosen = chosen.label === label && chosen.predicted === labels[j];
                return (
                  <td key={j}>
                    <button
                      type="button"
                      class={`cell ${i === j ? "right" : "wrong"}`}
                      style={{ "--weight": `${Math.round(100 * Math.sqrt(weight))}%` }}
                      aria-pressed={isChosen}
                      aria-label={`${label} predicted as ${labels[j]}: ${count(value)}, ${
                        percent(share)
                      }`}
                      onClick={() => onChoose({ label, predicted: labels[j]! })}
                    >
                      {value === 0 ? "·" : unit === "shares" ? percent(share) : count(value)}
                    </button>
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** One point per cell; the text below describes the cell under the pointer. */
function MatrixPicture({ labels, matrix, onChoose, unit }: MatrixProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [under, setUnder] = useState<{ i: number; j: number }>();
  const size = labels.length;
  useEffect(() => {
    const context = canvas.current!.getContext("2d")!;
    const totals = matrix.map((row) => row.reduce((sum, cell) => sum + cell, 0));
    const most = Math.max(1, ...matrix.map((row) => Math.max(...row)));
    const [right, wrong, nothing] = ["--series-0", "--series-1", "--sunken"].map(colour);
    context.globalAlpha = 1;
    context.fillStyle = nothing!;
    context.fillRect(0, 0, size, size);
    for (const [i, row] of matrix.entries()) {
      for (const [j, value] of row.entries()) {
        if (value === 0) continue;
        context.globalAlpha = 0.15 +
          0.85 * Math.sqrt(value / (unit === "shares" ? totals[i]! : most));
        context.fillStyle = i === j ? right! : wrong!;
        context.fillRect(j, i, 1, 1);
      }
    }
  }, [matrix, unit, coloursChanged.value]);
  const cellAt = (event: MouseEvent) => {
    const { left, top, width, height } = canvas.current!.getBoundingClientRect();
    const at = (place: number, length: number) =>
      Math.min(size - 1, Math.max(0, Math.floor(size * place / length)));
    return { i: at(event.clientY - top, height), j: at(event.clientX - left, width) };
  };
  return (
    <div class="matrix-picture">
      <canvas
        ref={canvas}
        width={size}
        height={size}
        role="img"
        aria-label={`Confusion matrix of ${size} classes; the list names the most frequent confusions`}
        onMouseMove={(event) => setUnder(cellAt(event))}
        onMouseLeave={() => setUnder(undefined)}
        onClick={(event) => {
          const { i, j } = cellAt(event);
          onChoose({ label: labels[i]!, predicted: labels[j]! });
        }}
      />
      <p class="soft small">
        {under === undefined
          ? "Rows are true classes, columns predicted ones. A click shows the texts of a cell."
          : `${labels[under.i]} predicted as ${labels[under.j]}: ${
            count(matrix[under.i]![under.j]!)
          }`}
      </p>
    </div>
  );
}

/** The most frequent confusions. */
function Confusions({ labels, matrix, onChoose }: ConfusionMatrixProps) {
  const confusions = matrix
    .flatMap((row, i) =>
      row.map((value, j) => ({ label: labels[i]!, predicted: labels[j]!, value }))
    )
    .filter(({ label, predicted, value }) => label !== predicted && value > 0)
    .sort((a, b) => b.value - a.value)
    .slice(0, MAX_CONFUSIONS);
  if (confusions.length === 0) return null;
  return (
    <div class="confusions">
      <h3>Most frequent confusions</h3>
      <ol>
        {confusions.map((cell) => (
          <li key={`${cell.label}\n${cell.predicted}`}>
            <button type="button" class="link" onClick={() => onChoose(cell)}>
              <bdi>{cell.label}</bdi> taken for <bdi>{cell.predicted}</bdi>
            </button>{" "}
            <span class="soft small">{count(cell.value)}</span>
          </li>
        ))}
      </ol>
    </div>
  );
}
