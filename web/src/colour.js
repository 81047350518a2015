// Pixels to studio-swing luma, chroma and alpha in float32, and back: the operations of src/fsrcnn/planes.py, color.py and alpha.py in
// their order, so that the bytes are equal. `Math.fround` after each operation is float32's rounding.

const f = Math.fround;

// MATLAB rgb2ycbcr, BT.601: rows Y, Cb, Cr; and its inverse, as numpy.linalg.inv gives it in float64.
const FORWARD = [65.481, 128.553, 24.966, -37.797, -74.203, 112.0, 112.0, -93.786, -18.214].map((value) => value / 255);
const BACKWARD = inverse(FORWARD);
const OFFSET = [16 / 255, 128 / 255, 128 / 255];

export const TO_YCBCR = Float32Array.from(FORWARD);
export const TO_YCBCR_OFFSET = Float32Array.from(OFFSET);
export const TO_RGB = Float32Array.from(BACKWARD);
export const TO_RGB_OFFSET = Float32Array.from([0, 1, 2], (row) => -[0, 1, 2].reduce((sum, i) => sum + BACKWARD[3 * row + i] * OFFSET[i], 0));
export const GREY_OFFSET = f(16 / 255);
export const GREY_GAIN = f(219 / 255);

const FILL_RADII = [1, 2, 4, 8];
export const FILL_REACH = 15;

/** Of a 3×3 matrix, row by row. @param {number[]} m */
function inverse([a, b, c, d, e, g, h, i, j]) {
  const determinant = a * (e * j - g * i) - b * (d * j - g * h) + c * (d * i - e * h);
  const adjugate = [e * j - g * i, c * i - b * j, b * g - c * e, g * h - d * j, a * j - c * h, c * d - a * g, d * i - e * h, b * h - a * i, a * e - b * d];
  return adjugate.map((value) => value / determinant);
}

/** @typedef {Uint8Array | Uint8ClampedArray | Uint16Array | Float32Array} Samples */

/** The sample that stands for 1.0. @param {Samples} samples */
export function peakOf(samples) {
  return samples instanceof Float32Array ? 1 : 2 ** (8 * samples.BYTES_PER_ELEMENT) - 1;
}

/**
 * Packed samples as planes: luma, then Cb and Cr where there is colour, then alpha; hidden colours are repainted.
 * @param {Samples} samples rows of them @param {number} channels @param {number} width
 * @returns {Float32Array[]}
 */
export function toStudio(samples, channels, width) {
  const count = samples.length / channels, peak = peakOf(samples);
  /** @type {Float32Array[]} */
  const planes = Array.from({length: channels}, (_, c) => {
    const plane = new Float32Array(count);
    for (let i = 0; i < count; i++) plane[i] = samples[i * channels + c] / peak;
    return plane;
  });
  const colours = channels > 2 ? 3 : 1;
  if (channels > colours) fillHidden(planes.slice(0, colours), planes[colours], width).forEach((plane, c) => (planes[c] = plane));
  if (colours === 1) {
    const grey = planes[0];
    for (let i = 0; i < count; i++) grey[i] = GREY_OFFSET + f(GREY_GAIN * grey[i]);
    return planes;
  }
  return [...multiplied(planes, TO_YCBCR, TO_YCBCR_OFFSET), ...planes.slice(3)];
}

/**
 * What `toStudio` gives as packed samples again, clipped, and rounded where they are integers, halves up.
 * @param {Float32Array[]} studio @param {Samples} samples of the right length; filled
 */
export function fromStudio(studio, samples) {
  const channels = studio.length, count = studio[0].length, peak = peakOf(samples), whole = !(samples instanceof Float32Array);
  let planes = studio;
  if (channels > 2) planes = [...multiplied(studio, TO_RGB, TO_RGB_OFFSET), ...studio.slice(3)];
  else planes[0] = planes[0].map((value) => f(value - GREY_OFFSET) / GREY_GAIN);
  planes.forEach((plane, c) => {
    for (let i = 0; i < count; i++) {
      const value = plane[i], clipped = value > 0 ? (value < 1 ? value : 1) : 0; // NaN becomes 0
      samples[i * channels + c] = whole ? Math.floor(f(f(clipped * peak) + 0.5)) : clipped;
    }
  });
}

/** @param {Float32Array[]} planes @param {Float32Array} matrix @param {Float32Array} offset */
function multiplied([r, g, b], matrix, offset) {
  return [0, 1, 2].map((row) => {
    const [p, q, s] = matrix.subarray(3 * row, 3 * row + 3), constant = offset[row], out = new Float32Array(r.length);
    for (let i = 0; i < out.length; i++) out[i] = f(f(f(p * r[i]) + f(q * g[i])) + f(s * b[i])) + constant;
    return out;
  });
}

/**
 * Colour planes with fully transparent pixels repainted by the mean of the visible ones nearby.
 * @param {Float32Array[]} colours @param {Float32Array} alpha @param {number} width
 */
function fillHidden(colours, alpha, width) {
  /** @type {Float32Array} */
  let known = Float32Array.from(alpha, (value) => (value > 0 ? 1 : 0));
  if (known.every((is) => is === 1) || !known.some((is) => is === 1)) return colours;
  let filled = colours;
  for (const radius of FILL_RADII) {
    const now = known, weight = boxSum(now, width, radius);
    filled = filled.map((plane) => {
      const mean = boxSum(plane.map((value, i) => value * now[i]), width, radius);
      return plane.map((value, i) => (now[i] === 0 && weight[i] > 0 ? mean[i] / Math.max(weight[i], 1) : value));
    });
    known = now.map((is, i) => (is === 1 || weight[i] > 0 ? 1 : 0));
  }
  return filled;
}

/**
 * Sums over squares of side 2·radius + 1, zeros outside: down the columns first, then along the rows, each in order.
 * @param {Float32Array} plane @param {number} width @param {number} radius
 */
function boxSum(plane, width, radius) {
  const height = plane.length / width, result = new Float32Array(plane.length), line = new Float32Array(width + 2 * radius);
  for (let y = 0; y < height; y++) {
    line.fill(0);
    for (let row = Math.max(0, y - radius); row <= Math.min(height - 1, y + radius); row++)
      for (let x = 0; x < width; x++) line[radius + x] += plane[row * width + x];
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let i = 0; i <= 2 * radius; i++) sum = f(sum + line[x + i]);
      result[y * width + x] = sum;
    }
  }
  return result;
}
