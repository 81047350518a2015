// The network in whole numbers of 16 bits: what precision `fast` means. As src/fsrcnn/fixed_point.py has it, which says why each
// limit is what it is; in float64, so that the whole numbers and the float32 multipliers come out the same.

import {SHEET, SHEET_SIDE} from './bundled.js';
import {UpscaleError} from './errors.js';
import {convolutions} from './weights.js';

export const INPUT_LEVELS = 32640;
export const FEATURE_LEVELS = 8191;
const LARGEST_BRANCH = 5;
const HEADROOM = 1.25;
const LARGEST_16 = 2 ** 15 - 1;
const LARGEST_32 = 2 ** 31 - 1;

/**
 * The whole numbers and multipliers in the order of `fsrcnn_network` (native/fsrcnn_engine.h).
 * @param {import('./weights.js').Weights} weights
 * @returns {{integers: Int32Array, multipliers: Float32Array}}
 */
export function fixedPoint(weights) {
  const {architecture, arrays} = weights;
  const largest = largestFeatures(weights);
  /** @type {number[]} */
  const integers = [];
  /** @type {number[]} */
  const multipliers = [];
  let step = new Float64Array([1 / INPUT_LEVELS]); // what 1 stands for in each input channel
  let reach = INPUT_LEVELS;
  for (const {name, channelsIn, channelsOut, kernel: side} of convolutions(architecture)) {
    const weight = arrayOf(arrays, `${name}.weight`), bias = arrayOf(arrays, `${name}.bias`), slope = arrayOf(arrays, `${name}.prelu`);
    const size = side * side, each = channelsIn * size;
    const next = arrayOf(largest, name).map((value) => (HEADROOM * value) / FEATURE_LEVELS);
    const biases = [], positive = [], negative = [];
    for (let o = 0; o < channelsOut; o++) {
      const kernel = Float64Array.from({length: each}, (_, i) => weight[o * each + i] * step[Math.floor(i / size)]);
      const unit = units(kernel, bias[o], name, reach);
      const whole = kernel.map((value) => rint(value * unit));
      for (const value of whole) integers.push(value);
      biases.push(rint(bias[o] * unit));
      positive.push(Math.fround(1 / (unit * next[o])));
      negative.push(Math.fround(slope[o] / (unit * next[o])));
      const most = whole.reduce((sum, value) => sum + Math.abs(value), 0) * reach + Math.abs(biases[o]);
      if (most * Math.max(Math.abs(positive[o]), Math.abs(negative[o])) >= LARGEST_32)
        throw new UpscaleError(`the slopes of ${name} are too steep for precision fast: use precision exact`);
    }
    integers.push(...biases);
    multipliers.push(...positive, ...negative);
    step = next;
    reach = FEATURE_LEVELS;
  }
  const {d, deconvolution_kernel: side, scale} = architecture;
  const last = arrayOf(arrays, 'deconvolution.weight');
  const deconvolution = Float64Array.from(last, (value, i) => value * step[Math.floor(i / side ** 2)]);
  const whole = new Array(deconvolution.length);
  for (let y = 0; y < scale; y++)
    for (let x = 0; x < scale; x++) {
      const unit = phaseUnits(deconvolution, d, side, scale, y, x);
      for (let c = 0; c < d; c++)
        for (let row = y; row < side; row += scale)
          for (let column = x; column < side; column += scale) {
            const at = (c * side + row) * side + column;
            whole[at] = rint(deconvolution[at] * unit);
          }
      multipliers.push(1 / unit);
    }
  for (const value of whole) integers.push(value);
  multipliers.push(arrayOf(arrays, 'deconvolution.bias')[0]);
  return {integers: Int32Array.from(integers), multipliers: Float32Array.from(multipliers)};
}

/**
 * @template T
 * @param {Map<string, T>} arrays @param {string} name
 * @returns {T}
 */
function arrayOf(arrays, name) {
  return /** @type {T} */ (arrays.get(name));
}

/** To the nearest whole number, halves to even. @param {number} value */
function rint(value) {
  const low = Math.floor(value), rest = value - low;
  return rest < 0.5 || (rest === 0.5 && low % 2 === 0) ? low : low + 1;
}

/**
 * Stage → largest magnitude of each channel on the sheet of black and white.
 * @param {import('./weights.js').Weights} weights
 * @returns {Map<string, Float64Array>}
 */
function largestFeatures({architecture, arrays}) {
  const side = SHEET_SIDE;
  let x = [sheet()];
  /** @type {Map<string, Float64Array>} */
  const largest = new Map();
  for (const {name, channelsIn, channelsOut, kernel} of convolutions(architecture)) {
    const weight = arrayOf(arrays, `${name}.weight`), bias = arrayOf(arrays, `${name}.bias`), slope = arrayOf(arrays, `${name}.prelu`);
    const wide = side + kernel - 1, plane = wide * wide, each = channelsIn * kernel * kernel;
    const padded = new Float64Array(channelsIn * plane);
    x.forEach((values, i) => {
      for (let row = 0; row < side; row++)
        padded.set(values.subarray(row * side, (row + 1) * side), i * plane + (row + (kernel >> 1)) * wide + (kernel >> 1));
    });
    // Four taps at a time, in the order of one at a time; taps are as many as four divide, those too many have no weight.
    const taps = Math.ceil(each / 4) * 4, factors = new Float64Array(taps), places = new Uint32Array(taps);
    for (let i = 0; i < each; i++) places[i] = Math.floor(i / kernel ** 2) * plane + (Math.floor(i / kernel) % kernel) * wide + (i % kernel);
    const found = new Float64Array(channelsOut);
    x = Array.from({length: channelsOut}, (_, o) => {
      factors.set(weight.subarray(o * each, (o + 1) * each));
      const total = new Float64Array(side * side).fill(bias[o]);
      for (let row = 0; row < side; row++)
        for (let i = 0; i < taps; i += 4) {
          const f0 = factors[i], f1 = factors[i + 1], f2 = factors[i + 2], f3 = factors[i + 3], start = row * wide;
          let p0 = places[i] + start, p1 = places[i + 1] + start, p2 = places[i + 2] + start, p3 = places[i + 3] + start;
          for (let at = row * side; at < (row + 1) * side; at++)
            total[at] = total[at] + f0 * padded[p0++] + f1 * padded[p1++] + f2 * padded[p2++] + f3 * padded[p3++];
        }
      let most = 0;
      for (let i = 0; i < total.length; i++) {
        if (total[i] < 0) total[i] *= slope[o];
        most = Math.max(most, Math.abs(total[i]));
      }
      found[o] = Math.fround(most) || 1;
      return total;
    });
    largest.set(name, found);
  }
  return largest;
}

/** The sheet that Python's generator draws, bit by bit: 1 is white. */
function sheet() {
  const bytes = Uint8Array.from(atob(SHEET), (letter) => letter.charCodeAt(0));
  return Float64Array.from({length: SHEET_SIDE ** 2}, (_, i) => (bytes[i >> 3] >> (7 - (i & 7))) & 1);
}

/**
 * How many units of a sum stand for 1.0, for one channel's (in, k, k) kernel.
 * @param {Float64Array} kernel @param {number} bias @param {string} stage @param {number} reach
 */
function units(kernel, bias, stage, reach) {
  const mapping = stage.startsWith('mapping');
  let stored = 1e-30, sum = 0;
  for (const value of kernel) sum += Math.abs(value);
  if (mapping)
    for (let i = 0; i < kernel.length; i += 9)
      for (let x = i; x < i + 3; x++) {
        const top = kernel[x], middle = kernel[x + 3], bottom = kernel[x + 6];
        stored = Math.max(stored, Math.abs(2 * top), Math.abs(top + middle + bottom), Math.abs(top - middle + bottom), Math.abs(2 * bottom));
      }
  else for (const value of kernel) stored = Math.max(stored, Math.abs(value));
  const largest = mapping ? Math.floor(LARGEST_32 / 2) : LARGEST_32;
  const byKernel = (LARGEST_16 - 2) / stored;
  const bySum = (largest - 1 - 0.5 * reach * kernel.length) / Math.max(sum * reach + Math.abs(bias), 1e-30);
  return positiveUnits(Math.min(byKernel, bySum));
}

/**
 * The same for one phase of the deconvolution's kernels.
 * @param {Float64Array} kernels @param {number} d @param {number} side @param {number} scale @param {number} y @param {number} x
 */
function phaseUnits(kernels, d, side, scale, y, x) {
  const rows = Math.ceil((side - y) / scale), columns = Math.ceil((side - x) / scale);
  /** @param {number} c @param {number} row @param {number} column */
  const at = (c, row, column) => kernels[(c * side + y + scale * row) * side + x + scale * column];
  const parts = Math.ceil(rows / LARGEST_BRANCH), limits = [];
  let total = 0;
  for (let part = 0; part < parts; part++) {
    const first = Math.floor((rows * part) / parts), count = Math.floor((rows * (part + 1)) / parts) - first;
    for (const value of [1, -1, 2])
      for (const ascending of [true, false]) {
        const powers = Array.from({length: count}, (_, row) => value ** (ascending ? row : count - 1 - row));
        let stored = 1e-30;
        for (let c = 0; c < d; c++)
          for (let column = 0; column < columns; column++)
            stored = Math.max(stored, Math.abs(powers.reduce((sum, power, row) => sum + power * at(c, first + row, column), 0)));
        limits.push((LARGEST_16 - powers.reduce((sum, power) => sum + Math.abs(power), 0)) / stored);
      }
    const perRow = Array.from({length: count}, (_, row) => {
      let sum = 0;
      for (let c = 0; c < d; c++) for (let column = 0; column < columns; column++) sum += Math.abs(at(c, first + row, column));
      total += sum;
      return sum * FEATURE_LEVELS;
    });
    const slack = FEATURE_LEVELS * d * columns;
    const coefficient = perRow.map((value, row) => value + (perRow[row + 1] ?? 0));
    const found = Math.max(...coefficient, count === LARGEST_BRANCH ? coefficient[0] + coefficient[count - 2] : 0);
    limits.push((LARGEST_32 / 2 - 2 * slack) / Math.max(found, 1e-30));
  }
  limits.push((LARGEST_32 - 0.5 * FEATURE_LEVELS * d * rows * columns) / Math.max(total * FEATURE_LEVELS, 1e-30));
  return positiveUnits(Math.min(...limits));
}

/** @param {number} units */
function positiveUnits(units) {
  if (units <= 0) throw new UpscaleError('this network is too wide for precision fast (16-bit features, 32-bit sums): use precision exact');
  return Math.min(units, 1e30);
}
