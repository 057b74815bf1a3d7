// AdamW and the masks of dropout on the GPU. Sums are taken in a fixed order, so that a step can be
// repeated to the bit.
//
// One dispatch takes a group of parameters, the workgroup's y being a parameter's place in it.
// webgpu_kernels.ts puts in front what depends on the size of the group: for each kind of arrays,
// such as `weights`, the functions `weights_count(parameter)`, `weights_at(parameter, i)` and
// `set_weights(parameter, i, value)`. It also defines THREADS, those of a workgroup, and
// PARTIAL_SUMS, those of a parameter.

struct Step {
  beta1: f32,
  beta2: f32,
  step_size: f32,
  epsilon: f32,
  decay: f32,
  max_norm: f32,
  norm_epsilon: f32,
}

struct Clipping {
  norm: f32,
  scale: f32,
}

var<workgroup> shared_sums: array<f32, THREADS>;

// The sum over a workgroup of one value of each thread; valid in thread 0.
fn sum_of_workgroup(value: f32, thread: u32) -> f32 {
  shared_sums[thread] = value;
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) {
      shared_sums[thread] += shared_sums[thread + half];
    }
  }
  return shared_sums[0];
}

@group(0) @binding(0) var<storage, read_write> partial_sums: array<f32>;

// Dispatched with PARTIAL_SUMS workgroups for each parameter.
@compute @workgroup_size(THREADS)
fn sum_squares(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) workgroup: vec3u,
) {
  let parameter = workgroup.y;
  var sum = 0.0;
  let count = gradients_count(parameter);
  for (var i = workgroup.x * THREADS + thread; i < count; i += PARTIAL_SUMS * THREADS) {
    let gradient = gradients_at(parameter, i);
    sum += gradient * gradient;
  }
  let total = sum_of_workgroup(sum, thread);
  if (thread == 0u) {
    partial_sums[parameter * PARTIAL_SUMS + workgroup.x] = total;
  }
}

@group(0) @binding(0) var<storage, read> all_partial_sums: array<f32>;
@group(0) @binding(1) var<storage, read_write> clipping_result: Clipping;
@group(0) @binding(2) var<uniform> norm_step: Step;

// Dispatched with one workgroup.
@compute @workgroup_size(THREADS)
fn clip(@builtin(local_invocation_index) thread: u32) {
  var sum = 0.0;
  let count = arrayLength(&all_partial_sums);
  for (var i = thread; i < count; i += THREADS) {
    sum += all_partial_sums[i];
  }
  let total = sum_of_workgroup(sum, thread);
  if (thread == 0u) {
    let norm = sqrt(total);
    clipping_result.norm = norm;
    clipping_result.scale = min(1.0, norm_step.max_norm / (norm + norm_step.norm_epsilon));
  }
}

// A uniform, as few storage buffers may be bound at once and the group needs them.
@group(0) @binding(0) var<uniform> clipping: Clipping;
@group(0) @binding(1) var<uniform> step: Step;

@compute @workgroup_size(THREADS)
fn adamw(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let parameter = id.y;
  let count = weights_count(parameter);
  for (var i = id.x; i < count; i += workgroups.x * THREADS) {
    let gradient = gradients_at(parameter, i) * clipping.scale;
    let first = step.beta1 * first_moments_at(parameter, i) + (1.0 - step.beta1) * gradient;
    let second = step.beta2 * second_moments_at(parameter, i) +
      (1.0 - step.beta2) * gradient * gradient;
    set_first_moments(parameter, i, first);
    set_second_moments(parameter, i, second);
    let direction = first / (sqrt(second) + step.epsilon);
    let weight = step.decay * weights_at(parameter, i) - step.step_size * direction;
    set_weights(parameter, i, weight);
  }
}

@compute @workgroup_size(THREADS)
fn add(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let parameter = id.y;
  let count = gradients_count(parameter);
  for (var i = id.x; i < count; i += workgroups.x * THREADS) {
    set_gradients(parameter, i, gradients_at(parameter, i) + addends_at(parameter, i));
  }
}

// The gradient of a table whose rows were read, some of them several times: row `rows[i]` of the table
// gets the sum of the values at `places[starts[i]]` to `places[starts[i + 1] - 1]`.
@group(0) @binding(0) var<storage, read_write> table: array<f32>;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read> starts: array<u32>;
@group(0) @binding(4) var<storage, read> places: array<u32>;
// onnxruntime's buffers may be longer than their tensor, so their length does not tell the width.
@group(0) @binding(5) var<storage, read> width: u32;

// Each workgroup takes a row at a time.
@compute @workgroup_size(THREADS)
fn add_rows(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let row_count = arrayLength(&rows);
  for (var i = workgroup.x; i < row_count; i += workgroups.x) {
    for (var column = thread; column < width; column += THREADS) {
      var sum = table[rows[i] * width + column];
      for (var j = starts[i]; j < starts[i + 1u]; j++) {
        sum += values[places[j] * width + column];
      }
      table[rows[i] * width + column] = sum;
    }
  }
}

struct Window {
  start: u32,
  count: u32,
}

@group(0) @binding(0) var<storage, read> numbers: array<f32>;
@group(0) @binding(1) var<storage, read> windows: array<Window>;

// The mask of each dropout site is a window of the same random numbers.
@compute @workgroup_size(THREADS)
fn copy_windows(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let site = id.y;
  let window = windows[site];
  for (var i = id.x; i < window.count; i += workgroups.x * THREADS) {
    set_masks(site, i, numbers[window.start + i]);
  }
}
