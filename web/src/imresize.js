// Bicubic resizing as MATLAB's `imresize` does it, as src/fsrcnn/imresize.py has it: weights in float64, sums in float32.

const KERNEL_WIDTH = 4;

/**
 * For each output along an axis, which inputs it sums and with which weights: output i is the sum over t of
 * weights[i * taps + t] * input[indices[i * taps + t]].
 * @typedef {{taps: number, length: number, weights: Float32Array, indices: Int32Array}} Taps
 */

/** Keys' cubic convolution kernel, a = -0.5. @param {number} x */
function cubic(x) {
  const x1 = Math.abs(x), x2 = x1 * x1, x3 = x2 * x1;
  if (x1 <= 1) return 1.5 * x3 - 2.5 * x2 + 1;
  return x1 <= 2 ? -0.5 * x3 + 2.5 * x2 - 4 * x1 + 2 : 0;
}

/**
 * @param {number} before input pixels along the axis
 * @param {number} after output pixels along the axis
 * @returns {Taps}
 */
export function contributions(before, after) {
  const scale = after / before, shrink = Math.min(scale, 1), width = KERNEL_WIDTH / shrink;
  const count = Math.ceil(width) + 2;
  const weights = new Float64Array(after * count), positions = new Int32Array(after * count);
  const used = new Array(count).fill(false);
  for (let i = 0; i < after; i++) {
    const u = (i + 1) / scale + 0.5 * (1 - 1 / scale), left = Math.floor(u - width / 2);
    let sum = 0;
    for (let t = 0; t < count; t++) sum += weights[i * count + t] = shrink * cubic(shrink * (u - (left + t)));
    for (let t = 0; t < count; t++) {
      weights[i * count + t] /= sum;
      if (weights[i * count + t] !== 0) used[t] = true;
      const period = 2 * before, at = (((left + t - 1) % period) + period) % period;
      positions[i * count + t] = at < before ? at : period - 1 - at; // … 2 1 1 2 3 …
    }
  }
  const kept = used.flatMap((is, t) => (is ? [t] : [])), taps = kept.length;
  const result = {taps, length: after, weights: new Float32Array(after * taps), indices: new Int32Array(after * taps)};
  for (let i = 0; i < after; i++)
    kept.forEach((t, k) => {
      result.weights[i * taps + k] = weights[i * count + t];
      result.indices[i * taps + k] = positions[i * count + t];
    });
  return result;
}

/**
 * The inputs first … last-1 that outputs from … to-1 are made of.
 * @param {Taps} taps @param {number} from @param {number} to
 * @returns {[number, number]}
 */
export function needed(taps, from, to) {
  let first = Infinity, last = 0;
  for (let i = from * taps.taps; i < to * taps.taps; i++) {
    first = Math.min(first, taps.indices[i]);
    last = Math.max(last, taps.indices[i] + 1);
  }
  return [first, last];
}

/**
 * Rows top … bottom-1 of a plane resized both ways, down the columns first, from the plane's rows that begin with row `start`.
 * @param {Float32Array} plane @param {number} width of the plane @param {number} start
 * @param {Taps} down @param {Taps} across @param {number} top @param {number} bottom
 */
export function resizeRows(plane, width, start, down, across, top, bottom) {
  const result = new Float32Array((bottom - top) * across.length), row = new Float32Array(width);
  for (let y = top; y < bottom; y++) {
    for (let t = 0; t < down.taps; t++) {
      const weight = down.weights[y * down.taps + t], from = (down.indices[y * down.taps + t] - start) * width;
      if (t === 0) for (let x = 0; x < width; x++) row[x] = Math.fround(plane[from + x] * weight);
      else for (let x = 0; x < width; x++) row[x] = row[x] + Math.fround(plane[from + x] * weight);
    }
    const to = (y - top) * across.length;
    for (let x = 0, k = 0; x < across.length; x++) {
      let total = 0;
      for (let t = 0; t < across.taps; t++, k++) total = Math.fround(total + Math.fround(row[across.indices[k]] * across.weights[k]));
      result[to + x] = total;
    }
  }
  return result;
}
