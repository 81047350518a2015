// What pixels say of how a picture came about: noise, blocks of compression, the spectrum that sharpening, aliasing and blur shape.
// As src/fsrcnn/estimates.py has it, which says why. The luma and its differences are float32 as there, because a rounding decides which
// differences are among the steepest; sums and means are float64.

import {TO_YCBCR, TO_YCBCR_OFFSET, peakOf} from './colour.js';

const TILE = 64, MOST_TILES = 6, SAMPLED = 256, MARGIN = 10 / 255;
const WINDOW = 16, HALF = WINDOW / 2 + 1, RINGS = [1, 2, 3, 4.5, 6, 7.5, 12], FLOOR = 0.3;
const STEEPEST = 50, BESIDE = 2, BORDER = 3;
const LEAST = Math.fround(1e-3);
const LINE = TILE - 1; // differences of a row or a column of a tile
const f = Math.fround;

/**
 * Of a picture's luma, in 8-bit levels.
 * @typedef {object} Estimates
 * @property {number} noise standard deviation, by the diagonal Haar coefficients of the flattest blocks
 * @property {number} blocks how much more the picture bends at every eighth pixel than at the next most bent place, log2
 * @property {number} steepness the fourth moment of differences of neighbours by the square of their second, log2
 * @property {number[]} correlations of a difference of neighbours with those one, two and three pixels further
 * @property {number[]} spectrum the mean power in each ring, log2
 * @property {number[]} edges beside the steepest differences, those one and two pixels further, in parts of them: quartiles, and the
 *   median of the larger side
 */

/**
 * @param {import('./picture.js').Pixels} picture
 * @returns {Estimates}
 */
export function estimatesOf(picture) {
  const tiles = tilesOf(picture), differences = differencesOf(tiles);
  const noise = noiseOf(tiles);
  let second = 0, fourth = 0;
  for (const value of differences) {
    const square = value * value;
    second += square;
    fourth += square * square;
  }
  const power = second / differences.length;
  // White noise of variance v adds 2·v to the variance of differences and -v to their covariance at one pixel.
  const own = Math.max(power - 2 * noise ** 2, 0.1 * power) + 1e-3;
  const correlations = [1, 2, 3].map((lag) => (covariance(differences, lag) + (lag === 1 ? noise ** 2 : 0)) / own);
  const steepness = Math.log2((fourth / differences.length + 1e-3) / (power ** 2 + 1e-3));
  return {noise, blocks: blocksOf(differences), steepness, correlations, spectrum: spectrumOf(tiles), edges: edgesOf(differences)};
}

/**
 * 64 × 64 luma in 8-bit levels, tile after tile; they begin at multiples of 8, where blocks of a JPEG do. Where some are seen whole,
 * there are no others.
 * @param {import('./picture.js').Pixels} picture
 */
function tilesOf(picture) {
  const {data, width, channels} = picture, alpha = channels % 2 === 0 ? channels - 1 : -1, colours = channels > 2 ? 3 : 1;
  const {rows, columns} = inside(picture, alpha, colours);
  const all = starts(rows.length).flatMap((top) => starts(columns.length).map((left) => ({top, left})));
  /** Where the pixels of a tile begin in the data, row by row. @param {{top: number, left: number}} place */
  const pixels = ({top, left}) => {
    const found = new Uint32Array(TILE * TILE);
    for (let y = 0; y < TILE; y++) {
      const row = (rows.first + mirrored(top + y, rows.length)) * width + columns.first;
      for (let x = 0; x < TILE; x++) found[y * TILE + x] = (row + mirrored(left + x, columns.length)) * channels;
    }
    return found;
  };
  let places = all.map(pixels), hidden = false;
  if (alpha >= 0) {
    const seen = places.filter((place) => place.every((at) => data[at + alpha] > 0));
    hidden = seen.length === 0;
    if (!hidden) places = seen;
  }
  const count = TILE * TILE, cut = new Float32Array(places.length * count * colours);
  places.forEach((place, tile) =>
    place.forEach((at, i) => {
      for (let c = 0; c < colours; c++) cut[(tile * count + i) * colours + c] = data[at + c];
    }),
  );
  if (hidden) repaint(cut, places.flatMap((place) => Array.from(place, (at) => data[at + alpha] > 0)), colours, data instanceof Float32Array);
  return levels(cut, colours, peakOf(data));
}

/**
 * Hidden pixels by the median of the visible ones, in each channel.
 * @param {Float32Array} cut @param {boolean[]} visible @param {number} colours @param {boolean} float
 */
function repaint(cut, visible, colours, float) {
  if (!visible.includes(true)) return;
  for (let c = 0; c < colours; c++) {
    const median = quantile(cut.filter((_, i) => i % colours === c && visible[Math.floor(i / colours)]).sort(), 0.5);
    for (let i = 0; i < visible.length; i++) if (!visible[i]) cut[i * colours + c] = float ? median : Math.floor(median);
  }
}

/** Packed samples as luma in 8-bit levels. @param {Float32Array} cut @param {number} colours @param {number} peak */
function levels(cut, colours, peak) {
  const luma = new Float32Array(cut.length / colours), [red, green, blue] = TO_YCBCR, [offset] = TO_YCBCR_OFFSET;
  for (let i = 0; i < luma.length; i++) {
    if (colours === 1) luma[i] = 16 + f(219 * f(cut[i] / peak));
    else {
      const at = 3 * i;
      luma[i] = 255 * f(f(f(f(red * f(cut[at] / peak)) + f(green * f(cut[at + 1] / peak))) + f(blue * f(cut[at + 2] / peak))) + offset);
    }
  }
  return luma;
}

/**
 * Rows and columns without the margins: without those that are hidden or of one colour, from the borders on.
 * @param {import('./picture.js').Pixels} picture @param {number} alpha its channel, or -1 @param {number} colours
 */
function inside({data, width, height, channels}, alpha, colours) {
  const margin = MARGIN * peakOf(data);
  /** @param {number} count of lines @param {number} line from one to the next @param {number} length of a line @param {number} pixel */
  const kept = (count, line, length, pixel) => {
    const step = Math.max(1, Math.floor(length / SAMPLED)) * pixel, end = length * pixel;
    /** @param {number} number */
    const counts = (number) => {
      const start = number * line;
      let seen = alpha < 0;
      for (let at = alpha; at < end && !seen; at += pixel) seen = data[start + at] > 0;
      if (!seen) return false;
      for (let c = 0; c < colours; c++) {
        let low = Infinity, high = -Infinity;
        for (let at = c; at < end; at += step) {
          const value = data[start + at];
          if (value < low) low = value;
          if (value > high) high = value;
        }
        if (f(high - low) > margin) return true;
      }
      return false;
    };
    let first = 0, last = count - 1;
    while (first < count && !counts(first)) first++;
    if (first === count) return {first: 0, length: count};
    while (!counts(last)) last--;
    first -= first % 8;
    return {first, length: last + 1 - first};
  };
  return {rows: kept(height, width * channels, width, channels), columns: kept(width, channels, height, width * channels)};
}

/** Where tiles begin along a side. @param {number} length */
function starts(length) {
  const count = Math.min(MOST_TILES, Math.ceil(length / TILE)), step = (length - TILE) / (count - 1);
  return Array.from({length: count}, (_, i) => Math.floor((i === 0 ? 0 : i === count - 1 ? length - TILE : i * step) / 8) * 8);
}

/** The place whose pixel stands at a place beyond the end. @param {number} place @param {number} length */
function mirrored(place, length) {
  const within = place % (2 * length);
  return within < length ? within : 2 * length - 1 - within;
}

/** Of neighbours in each row of each tile, then in each column. @param {Float32Array} tiles */
function differencesOf(tiles) {
  const found = new Float32Array((2 * tiles.length * LINE) / TILE);
  let next = 0;
  for (const [line, pixel] of [[TILE, 1], [1, TILE]])
    for (let tile = 0; tile < tiles.length; tile += TILE * TILE)
      for (let start = tile; start < tile + TILE * line; start += line) {
        for (let i = 0, at = start; i < LINE; i++, at += pixel) found[next++] = tiles[at + pixel] - tiles[at];
      }
  return found;
}

/** The mean product of differences that lie so far apart in their lines. @param {Float32Array} differences @param {number} lag */
function covariance(differences, lag) {
  let sum = 0;
  for (let start = 0; start < differences.length; start += LINE)
    for (let i = start + lag; i < start + LINE; i++) sum += differences[i] * differences[i - lag];
  return sum / ((differences.length / LINE) * (LINE - lag));
}

/**
 * The 15th percentile of the blocks' standard deviations; blocks without any are painted, or clipped, and say nothing.
 * @param {Float32Array} tiles
 */
function noiseOf(tiles) {
  /** @type {number[]} */
  const deviations = [];
  for (let tile = 0; tile < tiles.length; tile += TILE * TILE)
    for (let top = 0; top + 8 < TILE; top += 8)
      for (let left = 0; left + 8 < TILE; left += 8) {
        let sum = 0;
        for (let i = 0; i < 64; i++) {
          const at = tile + (top + (i >> 3)) * TILE + left + (i & 7);
          const haar = f(f(f(tiles[at] - tiles[at + TILE]) - tiles[at + 1]) + tiles[at + TILE + 1]) / 2;
          sum += haar * haar;
        }
        const deviation = Math.sqrt(sum / 64);
        if (deviation > LEAST) deviations.push(deviation);
      }
  return deviations.length ? quantile(Float64Array.from(deviations).sort(), 0.15) : 0;
}

/** @param {Float32Array} differences */
function blocksOf(differences) {
  const places = (LINE - 2) >> 3 << 3, bends = new Float64Array(8), each = ((differences.length / LINE) * places) / 8;
  for (let start = 0; start < differences.length; start += LINE)
    for (let i = 0; i < places; i++) {
      const at = start + i;
      bends[i % 8] += Math.abs(differences[at + 1] - (differences[at] + differences[at + 2]) / 2);
    }
  const sorted = bends.sort();
  return Math.log2((sorted[7] / each + 1e-2) / (sorted[6] / each + 1e-2));
}

/** @param {Float32Array} tiles */
function spectrumOf(tiles) {
  const turn = (2 * Math.PI) / WINDOW;
  const cosines = Float64Array.from({length: WINDOW}, (_, i) => Math.cos(turn * i)), sines = cosines.map((_, i) => Math.sin(turn * i));
  const hann = cosines.map((value) => 0.5 - 0.5 * value), norm = hann.reduce((sum, value) => sum + value, 0);
  const taper = hann.map((value) => Math.sqrt(value / norm)); // a window is multiplied by it along both sides
  const power = new Float64Array(WINDOW * HALF), real = new Float64Array(WINDOW * HALF), imaginary = new Float64Array(WINDOW * HALF);
  const window = new Float64Array(WINDOW * WINDOW), windows = tiles.length / window.length, beside = TILE / WINDOW;
  for (let number = 0; number < windows; number++) {
    const corner = Math.floor(number / beside) * WINDOW * TILE + (number % beside) * WINDOW;
    let mean = 0;
    for (let i = 0; i < window.length; i++) mean += window[i] = tiles[corner + Math.floor(i / WINDOW) * TILE + (i % WINDOW)];
    mean /= window.length;
    for (let y = 0; y < WINDOW; y++)
      for (let k = 0; k < HALF; k++) {
        let re = 0, im = 0;
        for (let x = 0; x < WINDOW; x++) {
          const value = (window[y * WINDOW + x] - mean) * taper[x] * taper[y], angle = (k * x) % WINDOW;
          re += value * cosines[angle];
          im -= value * sines[angle];
        }
        real[y * HALF + k] = re;
        imaginary[y * HALF + k] = im;
      }
    for (let j = 0; j < WINDOW; j++)
      for (let k = 0; k < HALF; k++) {
        let re = 0, im = 0;
        for (let y = 0; y < WINDOW; y++) {
          const a = real[y * HALF + k], b = imaginary[y * HALF + k], c = cosines[(j * y) % WINDOW], s = sines[(j * y) % WINDOW];
          re += a * c + b * s;
          im += b * c - a * s;
        }
        power[j * HALF + k] += re * re + im * im;
      }
  }
  return RINGS.slice(1).map((high, ring) => {
    let sum = 0, count = 0;
    for (let j = 0; j < WINDOW; j++)
      for (let k = 0; k < HALF; k++) {
        const frequency = Math.hypot(j < WINDOW / 2 ? j : j - WINDOW, k);
        if (frequency < RINGS[ring] || frequency >= high) continue;
        sum += power[j * HALF + k] / windows;
        count++;
      }
    return Math.log2(sum / count + FLOOR);
  });
}

/** @param {Float32Array} differences */
function edgesOf(differences) {
  const heights = new Float32Array((differences.length / LINE) * (LINE - 2 * BORDER));
  let next = 0;
  for (let start = 0; start < differences.length; start += LINE)
    for (let at = start + BORDER; at < start + LINE - BORDER; at++) heights[next++] = Math.abs(differences[at]);
  const steepest = Math.max(heights.sort()[heights.length - Math.floor(heights.length / STEEPEST)], LEAST);
  /** @type {number[]} */
  const edges = [];
  for (let start = 0; start < differences.length; start += LINE)
    for (let at = start + BORDER; at < start + LINE - BORDER; at++) if (Math.abs(differences[at]) >= steepest) edges.push(at);
  if (edges.length === 0) return new Array(4 * BESIDE).fill(0);
  return Array.from({length: BESIDE}, (_, i) => {
    /** @param {number} step */
    const beside = (step) => Float32Array.from(edges, (at) => Math.min(Math.max(f(differences[at + step] / differences[at]), -2), 2));
    const before = beside(-i - 1), after = beside(i + 1);
    const both = new Float32Array(2 * edges.length);
    both.set(before);
    both.set(after, edges.length);
    both.sort();
    const larger = before.map((value, at) => Math.max(value, after[at])).sort();
    return [quantile(both, 0.25), quantile(both, 0.5), quantile(both, 0.75), quantile(larger, 0.5)];
  }).flat();
}

/** Between the two nearest of sorted values. @param {Float32Array | Float64Array} sorted @param {number} part */
function quantile(sorted, part) {
  const place = part * (sorted.length - 1), low = Math.floor(place), value = sorted[low];
  return value + (place - low) * (sorted[Math.min(low + 1, sorted.length - 1)] - value);
}
