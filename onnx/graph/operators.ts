/**
 * The operator catalogue: one function per operator, which checks the shapes, appends the ONNX node
 * and defines its gradient. Nodes that no output needs are dropped when the graph is written, so a
 * rule may describe the gradients of all inputs.
 *
 * Names are ONNX's in camelCase. A number as an operand becomes a scalar constant.
 *
 * @module
 */
import type {
  Attributes,
  ElementType,
  Float,
  Gradient,
  GradientRule,
  IndexedSlices,
  Tensor,
} from "./graph.ts";
import { ELEMENT_TYPES } from "./proto.ts";
import {
  broadcast,
  difference,
  type Dimension,
  formatShape,
  product,
  sameShape,
  type Shape,
  sum,
} from "./shape.ts";

const float = (value: number): Float => ({ float: value });

/** `a + b` */
export function add(a: Tensor, b: Tensor | number): Tensor {
  return binary("Add", a, b, (g, a, b) => [sumTo(g, a.shape), sumTo(g, b.shape)]);
}

/** `a - b` */
export function sub(a: Tensor, b: Tensor | number): Tensor {
  return binary("Sub", a, b, (g, a, b) => [sumTo(g, a.shape), sumTo(neg(g), b.shape)]);
}

/** `a * b` */
export function mul(a: Tensor, b: Tensor | number): Tensor {
  return binary(
    "Mul",
    a,
    b,
    (g, a, b) => [sumTo(mul(g, b), a.shape), sumTo(mul(g, a), b.shape)],
  );
}

/** `-x` */
export function neg(x: Tensor): Tensor {
  return unary("Neg", x, (g) => neg(g));
}

/** `e ** x` */
export function exp(x: Tensor): Tensor {
  return unary("Exp", x, (g, y) => mul(g, y));
}

/** The Gauss error function. */
export function erf(x: Tensor): Tensor {
  return unary("Erf", x, (g) => mul(g, mul(exp(neg(mul(x, x))), 2 / Math.sqrt(Math.PI))));
}

/** The hyperbolic tangent. */
export function tanh(x: Tensor): Tensor {
  return unary("Tanh", x, (g, y) => mul(g, sub(x.graph.scalar(1), mul(y, y))));
}

/** `max(x, 0)` */
export function relu(x: Tensor): Tensor {
  return unary("Relu", x, (g) => {
    const isPositive = x.graph.append("Greater", [x, x.graph.scalar(0)], {
      type: "bool",
      shape: x.shape,
    });
    return mul(g, cast(isPositive, "float32"));
  });
}

/** The cosine of an angle in radians. */
export function cos(x: Tensor): Tensor {
  return unary("Cos", x, (g) => mul(g, neg(sin(x))));
}

/** The sine of an angle in radians. */
export function sin(x: Tensor): Tensor {
  return unary("Sin", x, (g) => mul(g, cos(x)));
}

/** `1 / (1 + e ** -x)` */
export function sigmoid(x: Tensor): Tensor {
  return unary("Sigmoid", x, (g, y) => mul(mul(g, y), sub(x.graph.scalar(1), y)));
}

/**
 * `log(1 + e ** x)`, without overflow: `max(x, 0) + log(1 + e ** -|x|)`. Not ONNX's Softplus, which
 * onnxruntime does not have on WebGPU.
 */
export function softplus(x: Tensor): Tensor {
  const apply = (operator: string, x: Tensor) => x.graph.append(operator, [x], { shape: x.shape });
  const small = apply("Log", add(exp(neg(apply("Abs", x))), 1));
  return x.graph.append("Add", [apply("Relu", x), small], {
    shape: x.shape,
    operands: [x],
    gradient: (g) => [mul(g, sigmoid(x))],
  });
}

/** `x * Φ(x)`, the exact form (Hendrycks and Gimpel, 2016). */
export function gelu(x: Tensor): Tensor {
  return unary("Gelu", x, (g) => {
    // Φ(x) + x φ(x) of u = x / √2 is (1 + erf u) / 2 + u e ** (-u² - ln √π).
    const u = mul(x, Math.SQRT1_2);
    const cumulative = hardSigmoid(erf(u), 0.5, 0.5);
    const weight = exp(sub(x.graph.scalar(-0.5 * Math.log(Math.PI)), mul(u, u)));
    return mul(g, add(cumulative, mul(u, weight)));
  });
}

/** `alpha * x + beta`, clamped to [0, 1]. */
function hardSigmoid(x: Tensor, alpha: number, beta: number): Tensor {
  const attributes = { alpha: float(alpha), beta: float(beta) };
  return x.graph.append("HardSigmoid", [x], { shape: x.shape, attributes });
}

/** Converts to another element type; gradients do not pass. */
export function cast(x: Tensor, type: ElementType): Tensor {
  const derived = type === "float32" ? x.graph.derivedFloats(x) : undefined;
  if (derived !== undefined) return derived;
  const to = ELEMENT_TYPES[type];
  return x.graph.append("Cast", [x], { type, shape: x.shape, attributes: { to } });
}

/** The sum over some axes, which are kept with length 1 if `keepDimensions`. */
export function reduceSum(x: Tensor, axes: readonly number[], keepDimensions = false): Tensor {
  return reduce("ReduceSum", x, axes, keepDimensions, (g) => g);
}

/**
 * The mean over some axes, whose lengths must be known, kept with length 1 if `keepDimensions`.
 *
 * @throws {RangeError} If the length of an axis is a symbol.
 */
export function reduceMean(x: Tensor, axes: readonly number[], keepDimensions = false): Tensor {
  const count = product(axes.map((axis) => x.shape.at(axis)!));
  if (typeof count !== "number") {
    throw new RangeError(`Cannot take the mean over ${count} values: use reduceSum and a factor`);
  }
  return reduce("ReduceMean", x, axes, keepDimensions, (g) => mul(g, 1 / count));
}

/** Sums a gradient over the axes that were broadcast, down to the shape of its operand. */
function sumTo(x: Tensor, shape: Shape): Tensor {
  const added = x.shape.length - shape.length;
  if (shape.length === 1 && added > 0 && x.shape.at(-1) === shape[0]) return sumOfRows(x);
  const axes = x.shape
    .map((dimension, axis) => axis < added || shape[axis - added] !== dimension ? axis : -1)
    .filter((axis) => axis >= 0);
  return axes.length === 0 ? x : reshape(reduceSum(x, axes, true), shape);
}

/** The sum over all axes but the last, as a product: that takes a fraction of ReduceSum's time. */
function sumOfRows(x: Tensor): Tensor {
  const [rows, width] = [product(x.shape.slice(0, -1)), x.shape.at(-1)!];
  const ones = expand(x.graph.scalar(1), [rows]);
  return x.graph.append("MatMul", [ones, reshape(x, [rows, width])], { shape: [width] });
}

/** `e ** x` divided by its sum over the last axis. */
export function softmax(x: Tensor): Tensor {
  return unary("Softmax", x, (g, y) => {
    const weighted = mul(g, y);
    return sub(weighted, mul(y, reduceSum(weighted, [-1], true)));
  }, { axis: -1 });
}

/**
 * The logarithm of {@link softmax}, without overflow: `z - log(sum(e ** z))` of `z = x - max(x)`.
 * Not ONNX's LogSoftmax, which onnxruntime does not have on WebGPU.
 */
export function logSoftmax(x: Tensor): Tensor {
  const { graph, shape } = x;
  const perRow = [...shape.slice(0, -1), 1];
  const lastAxis = graph.integers([shape.length - 1]);
  const largest = graph.append("ReduceMax", [x, lastAxis], { shape: perRow });
  const z = graph.append("Sub", [x, largest], { shape });
  const logSum = graph.append("Log", [reduceSum(exp(z), [-1], true)], { shape: perRow });
  const y: Tensor = graph.append("Sub", [z, logSum], {
    shape,
    operands: [x],
    gradient: (g) => [sub(g, mul(exp(y), reduceSum(g, [-1], true)))],
  });
  return y;
}

/** The logarithm of the sum of `e ** x` over the last axis, without overflow. */
export function logSumExp(x: Tensor): Tensor {
  return x.graph.append("ReduceLogSumExp", [x, x.graph.integers([-1])], {
    shape: x.shape.slice(0, -1),
    attributes: { keepdims: 0 },
    gradient: (g) => [mul(softmax(x), reshape(g, [...g.shape, 1]))],
  });
}

/**
 * Layer normalisation over the last axis (Ba, Kiros and Hinton, 2016).
 *
 * @param x `[..., features]`
 * @param scale `[features]`
 * @param bias `[features]`
 */
export function layerNormalization(
  x: Tensor,
  scale: Tensor,
  bias: Tensor,
  epsilon: number,
): Tensor {
  const features = x.shape.at(-1)!;
  const perRow = [...x.shape.slice(0, -1), 1];
  const rows = product(x.shape.slice(0, -1));
  const [y, mean, inverseDeviation] = x.graph.appendMany(
    "LayerNormalization",
    [x, scale, bias],
    [x.shape, perRow, perRow],
    {
      attributes: { axis: -1, epsilon: float(epsilon) },
      gradient: (g) => {
        const [gradients, values] = [g, x].map((x) => reshape(x, [rows, features]));
        const [means, factors] = [mean!, inverseDeviation!].map((x) => reshape(x, [rows, 1]));
        const normalized = mul(sub(values!, means!), factors!);
        const weighted = mul(gradients!, normalized);
        const scaled = mul(gradients!, scale);
        const centred = sub(scaled, reduceMean(scaled, [-1], true));
        // The mean of scaled * normalized, as a product.
        const alongNormalized = gemm(weighted, reshape(scale, [features, 1]), undefined, {
          alpha: 1 / Number(features),
        });
        return [
          reshape(mul(factors!, sub(centred, mul(normalized, alongNormalized))), x.shape),
          sumOfRows(weighted),
          sumOfRows(gradients!),
        ];
      },
    },
  );
  return y!;
}

/** Which operands of a product are transposed first. */
interface MatMulOptions {
  transposeA?: boolean;
  transposeB?: boolean;
}

/** Settings of {@link gemm}. */
interface GemmOptions extends MatMulOptions {
  /** The factor of the product; 1 by default. */
  alpha?: number;
}

/** The matrix product over the last two axes; the axes before them broadcast. */
export function matMul(a: Tensor, b: Tensor, options: MatMulOptions = {}): Tensor {
  const matrix = productShape(a, b, options);
  const batch = broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2));
  // On the CPU onnxruntime fuses these transpositions into the product.
  const left = options.transposeA ? swapLastAxes(a) : a;
  const right = options.transposeB ? swapLastAxes(b) : b;
  return a.graph.append("MatMul", [left, right], {
    shape: [...batch, ...matrix],
    operands: [a, b],
    gradient: (g) => {
      const [ofA, ofB] = productGradients(matMul, a, b, g, options);
      return [sumTo(ofA, a.shape), sumTo(ofB, b.shape)];
    },
  });
}

/**
 * The mean of values by the softmax of scores, as in attention (Vaswani et al., 2017). Its gradient
 * keeps the weights and no other tensor of their size.
 *
 * @param scores `[..., queries, keys]`
 * @param value `[..., keys, size]`
 * @param mask Multiplies the weights, as dropout does; of the shape of the scores.
 * @returns `[..., queries, size]`
 */
export function attend(scores: Tensor, value: Tensor, mask?: Tensor): Tensor {
  const weights = softmax(scores);
  const masked = (x: Tensor) => mask === undefined ? x : mul(x, mask);
  const dropped = masked(weights);
  const shape = [...scores.shape.slice(0, -1), value.shape.at(-1)!];
  const y: Tensor = scores.graph.append("MatMul", [dropped, value], {
    shape,
    operands: [scores, value],
    gradient: (g) => {
      // Softmax subtracts the same sum over the keys as over the output (Dao et al., 2022).
      const sums = reduceSum(mul(g, y), [-1], true);
      const ofWeights = masked(matMul(g, value, { transposeB: true }));
      // Recomputed, with its operands swapped so that onnxruntime does not keep the first.
      const again = mask === undefined ? weights : mul(mask, weights);
      return [
        mul(weights, sub(ofWeights, sums)),
        matMul(again, g, { transposeA: true }),
      ];
    },
  });
  return y;
}

/** The product of two matrices, plus `c` (broadcast) where it is given. */
export function gemm(a: Tensor, b: Tensor, c?: Tensor, options: GemmOptions = {}): Tensor {
  const shape = productShape(a, b, options);
  if (a.shape.length > 2 || b.shape.length > 2) {
    throw new RangeError(
      `Cannot multiply ${formatShape(a.shape)} by ${formatShape(b.shape)}: not matrices`,
    );
  }
  const { transposeA = false, transposeB = false, alpha = 1 } = options;
  const multiply = (a: Tensor, b: Tensor, transposed: MatMulOptions) =>
    gemm(a, b, undefined, { ...transposed, alpha });
  return a.graph.append("Gemm", c === undefined ? [a, b] : [a, b, c], {
    shape,
    attributes: { alpha: float(alpha), transA: Number(transposeA), transB: Number(transposeB) },
    gradient: (g) => [
      ...productGradients(multiply, a, b, g, options),
      c === undefined ? undefined : sumTo(g, c.shape),
    ],
  });
}

/** The rows and columns of a product. */
function productShape(
  a: Tensor,
  b: Tensor,
  { transposeA = false, transposeB = false }: MatMulOptions,
): Shape {
  const [left, right] = [a.shape.slice(-2), b.shape.slice(-2)];
  const [rows, inner] = transposeA ? left.toReversed() : left;
  const [other, columns] = transposeB ? right.toReversed() : right;
  if (left.length < 2 || right.length < 2 || inner !== other) {
    throw new RangeError(
      `Cannot multiply ${formatShape(a.shape)}${transposeA ? " transposed" : ""} by ` +
        `${formatShape(b.shape)}${transposeB ? " transposed" : ""}`,
    );
  }
  return [rows!, columns!];
}

/** The gradients of a product's operands, which are products again. */
function productGradients(
  multiply: (a: Tensor, b: Tensor, options: MatMulOptions) => Tensor,
  a: Tensor,
  b: Tensor,
  g: Tensor,
  { transposeA = false, transposeB = false }: MatMulOptions,
): [Tensor, Tensor] {
  return [
    transposeA
      ? multiply(b, g, { transposeA: transposeB, transposeB: true })
      : multiply(g, b, { transposeB: !transposeB }),
    transposeB
      ? multiply(g, a, { transposeA: true, transposeB: transposeA })
      : multiply(a, g, { transposeA: !transposeA }),
  ];
}

/** The same elements under another shape of equal size. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  if (product(x.shape) !== product(shape)) {
    throw new RangeError(`Cannot reshape ${formatShape(x.shape)} to ${formatShape(shape)}`);
  }
  if (sameShape(x.shape, shape)) return x;
  // One unknown dimension is inferred; more have to be read from the inputs.
  const unknown = shape.filter((dimension) => typeof dimension === "string");
  const target = unknown.length > 1
    ? x.graph.dimensions(shape)
    : x.graph.integers(shape.map((dimension) => typeof dimension === "string" ? -1 : dimension));
  return x.graph.append("Reshape", [x, target], {
    shape,
    gradient: (g) => [reshape(g, x.shape)],
  });
}

/** Reorders the axes: axis `i` of the result is axis `permutation[i]` of `x`. */
export function transpose(x: Tensor, permutation: readonly number[]): Tensor {
  if (
    permutation.toSorted().some((axis, i) => axis !== i) || permutation.length !== x.shape.length
  ) {
    throw new RangeError(`Cannot transpose ${formatShape(x.shape)} by [${permutation.join(", ")}]`);
  }
  const inverse = permutation.map((_, axis) => permutation.indexOf(axis));
  return x.graph.append("Transpose", [x], {
    shape: permutation.map((axis) => x.shape[axis]!),
    attributes: { perm: permutation },
    gradient: (g) => [transpose(g, inverse)],
  });
}

function swapLastAxes(x: Tensor): Tensor {
  const axes = x.shape.map((_, axis) => axis);
  return transpose(x, [...axes.slice(0, -2), ...axes.slice(-2).reverse()]);
}

/** Repeats `x` along axes of length 1, or new ones in front, up to `shape`. */
export function expand(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  if (!sameShape(broadcast(x.shape, shape), shape)) {
    throw new RangeError(`Cannot expand ${formatShape(x.shape)} to ${formatShape(shape)}`);
  }
  return x.graph.append("Expand", [x, x.graph.dimensions(shape)], {
    shape,
    gradient: (g) => [sumTo(g, x.shape)],
  });
}

/**
 * Rows of a table.
 *
 * @param table `[rows, ...row]`
 * @param indices int64, any shape
 * @returns `[...indices.shape, ...row]`; its gradient keeps to the rows that were read
 */
export function gather(table: Tensor, indices: Tensor): Tensor {
  return table.graph.append("Gather", [table, indices], {
    shape: [...indices.shape, ...table.shape.slice(1)],
    attributes: { axis: 0 },
    gradient: (g) => [{ values: g, indices, shape: table.shape }],
  });
}

/** The elements `start` to `end - 1` of one axis; if `end` is a symbol, `start` must be 0. */
export function slice(x: Tensor, axis: number, start: number, end: Dimension): Tensor {
  const length = x.shape[axis];
  const tooLong = typeof length === "number" && typeof end === "number" && end > length;
  const empty = typeof end === "number" ? end <= start : start !== 0;
  if (length === undefined || start < 0 || tooLong || empty) {
    throw new RangeError(
      `Cannot slice axis ${axis} of ${formatShape(x.shape)} from ${start} to ${end}`,
    );
  }
  const size = typeof end === "number" ? end - start : end;
  return window(x, axis, { start, end, size });
}

/**
 * The elements `start` to `end - 1` of one axis, where all may be symbols.
 *
 * @param bounds `size` is `end - start`, which does not always follow from symbols.
 */
export function window(
  x: Tensor,
  axis: number,
  { start, end, size }: { start: Dimension; end: Dimension; size: Dimension },
): Tensor {
  const { graph } = x;
  const length = x.shape[axis]!;
  const shape = x.shape.with(axis, size);
  const inputs = [graph.dimensions([start]), graph.dimensions([end]), graph.integers([axis])];
  return graph.append("Slice", [x, ...inputs], {
    shape,
    gradient: (g) => {
      const before = shape.map((_, i) => i === axis ? start : 0);
      const after = shape.map((_, i) => i === axis && end !== length ? difference(length, end) : 0);
      const pads = graph.dimensions([...before, ...after]);
      return [graph.append("Pad", [g, pads], { shape: x.shape })];
    },
  });
}

/**
 * Moves the value for the distance between row and column into that column (Dai et al., 2019,
 * "Transformer-XL", appendix B): `y[i, j] = x[i, length - i + j]`.
 *
 * @param x `[..., length, 2*length+1]`; column `m` belongs to the distance `length - m`.
 * @returns `[..., length, length]`
 * @throws {RangeError} If the last two dimensions differ from these.
 */
export function relativeShift(x: Tensor): Tensor {
  const [length, width] = x.shape.slice(-2) as [Dimension, Dimension];
  if (width !== sum([1, length, length])) {
    throw new RangeError(
      `Cannot shift ${
        formatShape(x.shape)
      }: the last dimension must be one more than twice the other`,
    );
  }
  const outer = x.shape.slice(0, -2);
  const axis = outer.length;
  const total = product([length, width]);
  const twice = product([2, length]);
  // Without the first elements rows are one shorter, so each begins one further to the left.
  const flat = window(reshape(x, [...outer, total]), axis, {
    start: length,
    end: total,
    size: product([length, twice]),
  });
  return slice(reshape(flat, [...outer, length, twice]), axis + 1, 0, length);
}

/** Joins tensors along an axis; their other dimensions must agree. */
export function concat(tensors: readonly Tensor[], axis: number): Tensor {
  const [first, ...others] = tensors as [Tensor, ...Tensor[]];
  const lengths = tensors.map(({ shape }) => shape[axis]!);
  if (others.some(({ shape }) => !sameShape(shape.with(axis, 0), first.shape.with(axis, 0)))) {
    const shapes = tensors.map(({ shape }) => formatShape(shape)).join(" and ");
    throw new RangeError(`Cannot concatenate ${shapes} along axis ${axis}`);
  }
  const { graph } = first;
  return graph.append("Concat", tensors, {
    shape: first.shape.with(axis, sum(lengths)),
    attributes: { axis },
    // Not one Split: on WebGPU all of its results would have to be used.
    gradient: (g) =>
      tensors.map(({ shape }, i) => {
        const [start, end] = [sum(lengths.slice(0, i)), sum(lengths.slice(0, i + 1))];
        const bounds = [graph.dimensions([start]), graph.dimensions([end])];
        return graph.append("Slice", [g, ...bounds, graph.integers([axis])], { shape });
      }),
  });
}

/** Turns the gradient of gathered rows into one of the whole table. */
export function densify(gradient: Gradient): Tensor {
  if ("name" in gradient) return gradient;
  return scatterAdd(expand(gradient.values.graph.scalar(0), gradient.shape), gradient);
}

/**
 * The sum of two gradients of one tensor.
 *
 * @param isFresh Whether nothing else uses `b`; a product then starts from `a` instead of zero.
 */
export function addGradients(a: Gradient, b: Gradient, isFresh: boolean): Gradient {
  if ("name" in a && "name" in b) return isFresh ? addTo(a, b) : add(a, b);
  if ("name" in a) return scatterAdd(a, b as IndexedSlices);
  if ("name" in b) return scatterAdd(b, a);
  const [first, second] = [flatRows(a), flatRows(b)];
  return {
    values: concat([first.values, second.values], 0),
    indices: concat([first.indices, second.indices], 0),
    shape: a.shape,
  };
}

/** `a + b`. A product `b` of {@link gemm} without `c` is appended again, with `a` as `c`. */
function addTo(a: Tensor, b: Tensor): Tensor {
  const product = b.graph.nodes.findLast(({ outputs }) => outputs[0] === b);
  if (product?.operator !== "Gemm" || product.inputs.length > 2) return add(a, b);
  const { inputs, attributes } = product;
  return b.graph.append("Gemm", [...inputs, a], { shape: b.shape, attributes });
}

/** A table with the gradients of some of its rows added. */
function scatterAdd(table: Tensor, slices: IndexedSlices): Tensor {
  const { values, indices } = flatRows(slices);
  return table.graph.append("ScatterND", [
    table,
    reshape(indices, [...indices.shape, 1]),
    values,
  ], { shape: table.shape, attributes: { reduction: "add" } });
}

/** The rows in sequence, whatever the shape of their indices. */
function flatRows({ values, indices, shape }: IndexedSlices): IndexedSlices {
  const count = product(indices.shape);
  return {
    values: reshape(values, [count, ...shape.slice(1)]),
    indices: reshape(indices, [count]),
    shape,
  };
}

function unary(
  operator: string,
  x: Tensor,
  gradient: (outputGradient: Tensor, output: Tensor) => Tensor,
  attributes: Attributes = {},
): Tensor {
  const y: Tensor = x.graph.append(operator, [x], {
    shape: x.shape,
    attributes,
    gradient: (g) => [gradient(g, y)],
  });
  return y;
}

function binary(
  operator: string,
  a: Tensor,
  b: Tensor | number,
  gradient: (outputGradient: Tensor, a: Tensor, b: Tensor) => Tensor[],
): Tensor {
  const right = typeof b === "number" ? a.graph.scalar(b) : b;
  return a.graph.append(operator, [a, right], {
    shape: broadcast(a.shape, right.shape),
    gradient: (g) => gradient(g, a, right),
  });
}

function reduce(
  operator: string,
  x: Tensor,
  axes: readonly number[],
  keepDimensions: boolean,
  perElement: (outputGradient: Tensor) => Tensor,
): Tensor {
  const reduced = new Set(axes.map((axis) => axis < 0 ? axis + x.shape.length : axis));
  const kept = x.shape.map((dimension, axis) => reduced.has(axis) ? 1 : dimension);
  const gradient: GradientRule = (g) => [expand(reshape(perElement(g), kept), x.shape)];
  return x.graph.append(operator, [x, x.graph.integers([...reduced])], {
    shape: keepDimensions ? kept : x.shape.filter((_, axis) => !reduced.has(axis)),
    attributes: { keepdims: Number(keepDimensions) },
    gradient,
  });
}
