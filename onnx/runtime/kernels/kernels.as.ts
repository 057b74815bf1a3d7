/**
 * The optimizer's inner loops, in AssemblyScript: weights, moments and gradients lie in one
 * WebAssembly memory and are updated in place, four at a time. Addresses are in bytes. Built by
 * `deno task build:kernels`.
 */

/** The sum of the squares of `count` values, and of those up to the next 16, added up in float64. */
export function sumOfSquares(values: usize, count: usize): f64 {
  let a = f64x2.splat(0);
  let b = f64x2.splat(0);
  let c = f64x2.splat(0);
  let d = f64x2.splat(0);
  const end = values + (count << 2);
  for (; values < end; values += 64) {
    a = f64x2.add(a, squares(v128.load(values)));
    b = f64x2.add(b, squares(v128.load(values, 16)));
    c = f64x2.add(c, squares(v128.load(values, 32)));
    d = f64x2.add(d, squares(v128.load(values, 48)));
  }
  const sum = f64x2.add(f64x2.add(a, b), f64x2.add(c, d));
  return f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
}

/** The first two of four values plus the last two. */
// @ts-ignore: decorator
@inline
function squares(four: v128): v128 {
  const first = f64x2.promote_low_f32x4(four);
  const last = f64x2.promote_low_f32x4(v128.shuffle<u64>(four, four, 1, 0));
  return f64x2.add(f64x2.mul(first, first), f64x2.mul(last, last));
}

/**
 * One AdamW step (Loshchilov and Hutter, 2019) of `count` elements. Bias correction is folded into
 * two factors: `stepSize = rate * sqrt(1 - beta2 ** t) / (1 - beta1 ** t)` and
 * `epsilon = eps * sqrt(1 - beta2 ** t)`.
 */
export function update(
  weights: usize,
  firstMoments: usize,
  secondMoments: usize,
  gradients: usize,
  count: usize,
  gradientScale: f32,
  beta1: f64,
  beta2: f64,
  stepSize: f32,
  epsilon: f32,
  decay: f32,
): void {
  const scale4 = f32x4.splat(gradientScale);
  const beta1x4 = f32x4.splat(<f32> beta1);
  const rest1x4 = f32x4.splat(<f32> (1 - beta1));
  const beta2x4 = f32x4.splat(<f32> beta2);
  const rest2x4 = f32x4.splat(<f32> (1 - beta2));
  const stepSize4 = f32x4.splat(stepSize);
  const epsilon4 = f32x4.splat(epsilon);
  const decay4 = f32x4.splat(decay);
  const end = weights + (count << 2);
  let next: usize = 0;
  for (; weights < end; weights += next) {
    // The remainder, if four do not divide the count, comes last, one by one.
    const single = end - weights < 16;
    next = single ? 4 : 16;
    const gradient = f32x4.mul(read(single, gradients), scale4);
    const first = f32x4.add(
      f32x4.mul(read(single, firstMoments), beta1x4),
      f32x4.mul(gradient, rest1x4),
    );
    const second = f32x4.add(
      f32x4.mul(read(single, secondMoments), beta2x4),
      f32x4.mul(f32x4.mul(gradient, gradient), rest2x4),
    );
    const direction = f32x4.div(first, f32x4.add(f32x4.sqrt(second), epsilon4));
    const decayed = f32x4.mul(read(single, weights), decay4);
    write(single, firstMoments, first);
    write(single, secondMoments, second);
    write(single, weights, f32x4.sub(decayed, f32x4.mul(stepSize4, direction)));
    firstMoments += next;
    secondMoments += next;
    gradients += next;
  }
}

/**
 * The step of the rows of a table that have moments. Rows have `width` elements; `places` holds for
 * every row its row of `gradients`, or -1 if it has no moments.
 */
export function updateRows(
  weights: usize,
  firstMoments: usize,
  secondMoments: usize,
  gradients: usize,
  places: usize,
  rows: usize,
  width: usize,
  gradientScale: f32,
  beta1: f64,
  beta2: f64,
  stepSize: f32,
  epsilon: f32,
  decay: f32,
): void {
  const rowBytes = width << 2;
  for (let row: usize = 0; row < rows; row++) {
    const place = load<i32>(places + (row << 2));
    if (place < 0) continue;
    update(
      weights + row * rowBytes,
      firstMoments + row * rowBytes,
      secondMoments + row * rowBytes,
      gradients + <usize> place * rowBytes,
      width,
      gradientScale,
      beta1,
      beta2,
      stepSize,
      epsilon,
      decay,
    );
  }
}

/**
 * Applies the decay of several steps, in their order, to the rows of a table that have no moments.
 * `decays` holds `count` factors.
 */
export function decayRows(
  weights: usize,
  places: usize,
  rows: usize,
  width: usize,
  decays: usize,
  count: usize,
): void {
  const rowBytes = width << 2;
  let row: usize = 0;
  while (row < rows) {
    let end = row;
    while (end < rows && load<i32>(places + (end << 2)) < 0) end++;
    decay(weights + row * rowBytes, (end - row) * width, decays, decays + (count << 2));
    row = end + 1;
  }
}

/** Multiplies `count` values by each of some factors. */
function decay(values: usize, count: usize, factors: usize, factorsEnd: usize): void {
  const end = values + (count << 2);
  // Enough at once that no product waits for the one before it.
  for (; values + 128 <= end; values += 128) {
    let a = v128.load(values);
    let b = v128.load(values, 16);
    let c = v128.load(values, 32);
    let d = v128.load(values, 48);
    let e = v128.load(values, 64);
    let f = v128.load(values, 80);
    let g = v128.load(values, 96);
    let h = v128.load(values, 112);
    for (let factor = factors; factor < factorsEnd; factor += 4) {
      const factor4 = v128.load32_splat(factor);
      a = f32x4.mul(a, factor4);
      b = f32x4.mul(b, factor4);
      c = f32x4.mul(c, factor4);
      d = f32x4.mul(d, factor4);
      e = f32x4.mul(e, factor4);
      f = f32x4.mul(f, factor4);
      g = f32x4.mul(g, factor4);
      h = f32x4.mul(h, factor4);
    }
    v128.store(values, a);
    v128.store(values, b, 16);
    v128.store(values, c, 32);
    v128.store(values, d, 48);
    v128.store(values, e, 64);
    v128.store(values, f, 80);
    v128.store(values, g, 96);
    v128.store(values, h, 112);
  }
  for (; values < end; values += 4) {
    let value = load<f32>(values);
    for (let factor = factors; factor < factorsEnd; factor += 4) value *= load<f32>(factor);
    store<f32>(values, value);
  }
}

/** Four values, or a single one and zeros. */
// @ts-ignore: decorator
@inline
function read(single: bool, address: usize): v128 {
  return single ? v128.load32_zero(address) : v128.load(address);
}

/** Writes all four values, or the first. */
// @ts-ignore: decorator
@inline
function write(single: bool, address: usize, values: v128): void {
  if (single) v128.store32_lane(address, values, 0);
  else v128.store(address, values);
}
