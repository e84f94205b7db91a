/**
 * Weights and inputs that both sides can make by themselves: a linear congruential generator, seeded by the
 * FNV-1a hash of "SEED/NAME" and scaled by what the tensor is. PyTorch's layouts; rounded to float32 as the
 * reference does.
 */

/** Numbers in [−.5, .5), those of the tensor `name`. */
export function uniformNumbers(seed: number, name: string, count: number): Float64Array {
  const numbers = new Float64Array(count);
  let x = hash32(`${seed}/${name}`);
  for (let k = 0; k < count; k += 1) {
    x = (Math.imul(1664525, x) + 1013904223) >>> 0;
    numbers[k] = x / 2 ** 32 - 0.5;
  }
  return numbers;
}

/** A parameter or running statistic by its name and shape, both PyTorch's. */
export function parityTensor(seed: number, name: string, shape: readonly number[]): Float32Array {
  const count = shape.reduce((product, side) => product * side, 1);
  const { scale, shift } = scaleAndShiftOf(name, shape);
  return Float32Array.from(uniformNumbers(seed, name, count), (u) => shift + scale * u);
}

/**
 * Images of `batch` × 3 × `size` × `size` numbers, already in the order that TensorFlow takes: batch × size ×
 * size × 3.
 */
export function parityImages(seed: number, batch: number, size: number): Float32Array {
  const area = size * size;
  const numbers = uniformNumbers(seed, 'input', batch * 3 * area);
  const images = new Float32Array(numbers.length);
  for (let n = 0; n < batch; n += 1) {
    for (let channel = 0; channel < 3; channel += 1) {
      const from = (n * 3 + channel) * area;
      for (let p = 0; p < area; p += 1) images[(n * area + p) * 3 + channel] = 4 * numbers[from + p]!;
    }
  }
  return images;
}

export function parityLabels(seed: number, batch: number, classes: number): Int32Array {
  return Int32Array.from(uniformNumbers(seed, 'labels', batch), (u) => Math.floor((u + 0.5) * classes));
}

/** The two linear layers of fastai's head; every other one-dimensional parameter is a batch norm's. */
const linearBiases = ['head.4.bias', 'head.8.bias'];

function scaleAndShiftOf(name: string, shape: readonly number[]): { scale: number; shift: number } {
  const [outputs = 1, inputs = 1, height = 1, width = 1] = shape;
  if (name.endsWith('.running_mean')) return { scale: 0.1, shift: 0 };
  if (name.endsWith('.running_var')) return { scale: 0.5, shift: 1 };
  if (shape.length === 4) return { scale: Math.sqrt(24 / (outputs * height * width)), shift: 0 };
  if (shape.length === 2) return { scale: Math.sqrt(24 / inputs), shift: 0 };
  if (linearBiases.includes(name)) return { scale: 0.1, shift: 0 };
  return { scale: 0.2, shift: name.endsWith('.weight') ? 1 : 0 };
}

/** FNV-1a, 32 bits, of the UTF-8 bytes. */
function hash32(text: string): number {
  let value = 0x811c9dc5;
  for (const byte of Buffer.from(text)) value = Math.imul(value ^ byte, 0x01000193) >>> 0;
  return value;
}
