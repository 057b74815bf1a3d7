/**
 * The optimizer's inner loops, in AssemblyScript: weights, moments and gradients lie in one
 * WebAssembly memory and are updated in place, four at a time. Addresses are in bytes and divisible
 * by 16, as counts are by 4. Built by `deno task build:kernels`.
 */

/** The sum of the squares of `count` values, added up in float64. */
export function sumOfSquares(values: usize, count: usize): f64 {
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  const end = values + (count << 2);
  for (; values < end; values += 16) {
    const four = v128.load(values);
    const first = f64x2.promote_low_f32x4(four);
    const last = f64x2.promote_low_f32x4(v128.shuffle<u64>(four, four, 1, 0));
    low = f64x2.add(low, f64x2.mul(first, first));
    high = f64x2.add(high, f64x2.mul(last, last));
  }
  const sum = f64x2.add(low, high);
  return f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
}

/**
 * One AdamW step (Loshchilov and Hutter, 2019). Bias correction is folded into two scalars:
 * `stepSize = rate * sqrt(1 - beta2 ** t) / (1 - beta1 ** t)` and
 * `epsilon = eps * sqrt(1 - beta2 ** t)`.
 */
export function adamw(
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
  for (; weights < end; weights += 16) {
    const gradient = f32x4.mul(v128.load(gradients), scale4);
    const first = f32x4.add(
      f32x4.mul(v128.load(firstMoments), beta1x4),
      f32x4.mul(gradient, rest1x4),
    );
    const second = f32x4.add(
      f32x4.mul(v128.load(secondMoments), beta2x4),
      f32x4.mul(f32x4.mul(gradient, gradient), rest2x4),
    );
    const direction = f32x4.div(first, f32x4.add(f32x4.sqrt(second), epsilon4));
    v128.store(firstMoments, first);
    v128.store(secondMoments, second);
    v128.store(
      weights,
      f32x4.sub(f32x4.mul(v128.load(weights), decay4), f32x4.mul(stepSize4, direction)),
    );
    firstMoments += 16;
    secondMoments += 16;
    gradients += 16;
  }
}
