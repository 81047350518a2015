// What colours mean where no ICC profile says it: code points (PNG's cICP), gamma and chromaticities (gAMA, cHRM).
// Sources: ITU-T H.273, PNG third edition (sections 11.3.2.1 to 11.3.2.6), ICC.1:2022 (matrix/TRC profiles).

import {bytesOf, joined, latin1, viewOf} from './bytes.js';
import {DamagedError} from './errors.js';

/** @typedef {{primaries: number, transfer: number, full: boolean}} CodePoints */
/** @typedef {readonly (readonly number[])[]} Corners x, y of white, red, green and blue */

const UNSPECIFIED = 2, SRGB_TRANSFER = 13;
const HDR = new Map([[16, 'PQ'], [18, 'HLG']]);
const D50 = [0.9642, 1, 0.8249], D65 = [0.3127, 0.329];
/** By H.273, table 2. @type {Map<number, Corners>} */
const PRIMARIES = new Map([
  [1, [D65, [0.64, 0.33], [0.3, 0.6], [0.15, 0.06]]],
  [4, [[0.31, 0.316], [0.67, 0.33], [0.21, 0.71], [0.14, 0.08]]],
  [5, [D65, [0.64, 0.33], [0.29, 0.6], [0.15, 0.06]]],
  [6, [D65, [0.63, 0.34], [0.31, 0.595], [0.155, 0.07]]],
  [7, [D65, [0.63, 0.34], [0.31, 0.595], [0.155, 0.07]]],
  [9, [D65, [0.708, 0.292], [0.17, 0.797], [0.131, 0.046]]],
  [11, [[0.314, 0.351], [0.68, 0.32], [0.265, 0.69], [0.15, 0.06]]],
  [12, [D65, [0.68, 0.32], [0.265, 0.69], [0.15, 0.06]]],
  [22, [D65, [0.63, 0.34], [0.295, 0.605], [0.155, 0.077]]],
]);
const SRGB = /** @type {Corners} */ (PRIMARIES.get(1));
// Samples to light: one gamma, or gamma, a, b, c, d of ICC's function 3: (a·v + b)^gamma from d on, c·v below.
const SRGB_CURVE = [2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045];
const BT709_CURVE = [1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081];
const CURVES = new Map([[1, BT709_CURVE], [4, [2.2]], [5, [2.8]], [6, BT709_CURVE], [8, [1]], [SRGB_TRANSFER, SRGB_CURVE], [14, BT709_CURVE], [15, BT709_CURVE]]);
const BRADFORD = [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]];
const SRGB_GAMMA = 45455; // gAMA of sRGB and of nearly every file that has one: 1/2.2

/** `PQ` or `HLG`, which no ICC profile of the common kind can say. @param {CodePoints} points */
export function hdrOf(points) {
  return HDR.get(points.transfer) ?? null;
}

/** Whether that is sRGB, or nothing. @param {CodePoints} points */
export function isPlain({primaries, transfer}) {
  return [1, UNSPECIFIED].includes(primaries) && [SRGB_TRANSFER, UNSPECIFIED].includes(transfer);
}

/** An ICC profile that says the same; null where there is none. @param {CodePoints} points @param {boolean} grey */
export function profileOfCodePoints({primaries, transfer, full}, grey) {
  const corners = PRIMARIES.get(primaries === UNSPECIFIED ? 1 : primaries);
  const numbers = CURVES.get(transfer === UNSPECIFIED ? SRGB_TRANSFER : transfer);
  return corners && numbers && full ? profileOf(corners, curve(numbers), grey) : null;
}

/**
 * An ICC profile of a PNG's gAMA and cHRM; null where they say sRGB.
 * @param {Uint8Array | undefined} gamma @param {Uint8Array | undefined} chromaticities @param {boolean} grey
 * @throws {DamagedError} they mean nothing: a gamma of 0, colours on a line
 */
export function profileOfGamma(gamma, chromaticities, grey) {
  if ((gamma && gamma.length !== 4) || (chromaticities && chromaticities.length !== 32)) throw new DamagedError();
  const exponent = gamma ? viewOf(gamma).getUint32(0) : SRGB_GAMMA;
  /** @type {Corners} */
  let corners = SRGB;
  if (chromaticities) {
    const view = viewOf(chromaticities);
    corners = [0, 8, 16, 24].map((at) => [view.getUint32(at) / 1e5, view.getUint32(at + 4) / 1e5]);
  }
  if (exponent < 1_000 || exponent > 1_000_000) throw new DamagedError();
  const asSrgb = Math.abs(exponent - SRGB_GAMMA) <= 500;
  const farthest = Math.max(...corners.map(([x, y], i) => Math.max(Math.abs(x - SRGB[i][0]), Math.abs(y - SRGB[i][1]))));
  if (asSrgb && farthest < 0.002) return null;
  return profileOf(corners, curve(asSrgb && !gamma ? SRGB_CURVE : [1e5 / exponent]), grey);
}

/** The colours that an ICC profile is for (`RGB `, `GRAY` …); null where it is cut short, or none. @param {Uint8Array} profile */
export function spaceOf(profile) {
  if (profile.length < 132 || latin1(profile, 36, 40) !== 'acsp') return null;
  const length = viewOf(profile).getUint32(0);
  return length >= 132 && length <= profile.length ? latin1(profile, 16, 20) : null;
}

/** An ICC profile as far as its header says it reaches; null where it is cut short, none, or of other colours than the picture. @param {Uint8Array} profile @param {boolean} grey */
export function fittingProfile(profile, grey) {
  const space = spaceOf(profile);
  if (space === null) return null;
  const view = viewOf(profile), length = view.getUint32(0);
  if (space === 'GRAY' && !grey) { // in a format that has no grey: the same curve for R, G and B
    const end = Math.min(132 + 12 * view.getUint32(128), length - 11);
    for (let at = 132; at < end; at += 12) {
      if (latin1(profile, at, at + 4) !== 'kTRC') continue;
      const start = view.getUint32(at + 4);
      return profileOf(SRGB, profile.slice(start, Math.min(start + view.getUint32(at + 8), length)), false);
    }
  }
  return space === (grey ? 'GRAY' : 'RGB ') ? profile.subarray(0, length) : null;
}

/** @param {readonly number[][]} matrix @param {readonly number[]} vector */
function times(matrix, vector) {
  return matrix.map((row) => row.reduce((sum, value, i) => sum + value * vector[i], 0));
}

/** @param {readonly number[][]} matrix 3×3 */
function determinant([[a, b, c], [d, e, f], [g, h, i]]) {
  return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
}

/** @param {readonly number[][]} matrix 3×3 */
function inverse(matrix) {
  const [[a, b, c], [d, e, f], [g, h, i]] = matrix;
  const adjugate = [[e * i - f * h, c * h - b * i, b * f - c * e], [f * g - d * i, a * i - c * g, c * d - a * f], [d * h - e * g, b * g - a * h, a * e - b * d]];
  return adjugate.map((row) => row.map((value) => value / determinant(matrix)));
}

/** @param {readonly number[][]} left @param {readonly number[][]} right */
function product(left, right) {
  const columns = right[0].map((_, i) => right.map((row) => row[i]));
  return left.map((row) => times(columns, row));
}

/** The matrix from RGB to XYZ under D50 (Bradford), and the adaptation alone. @param {Corners} corners */
function toXyz(corners) {
  const [white, ...primaries] = corners.map(([x, y]) => [x / y, 1, (1 - x - y) / y]);
  const columns = [0, 1, 2].map((i) => primaries.map((primary) => primary[i]));
  if (![white, ...columns].flat().every(Number.isFinite) || Math.abs(determinant(columns)) < 1e-6) throw new DamagedError();
  const strengths = times(inverse(columns), white);
  const matrix = columns.map((row) => row.map((value, i) => value * strengths[i]));
  const ours = times(BRADFORD, D50), theirs = times(BRADFORD, white);
  const adaptation = product(inverse(BRADFORD), BRADFORD.map((row, i) => row.map((value) => (value * ours[i]) / theirs[i])));
  return {matrix: product(adaptation, matrix), adaptation};
}

/** s15Fixed16 numbers. @param {...number} values */
function fixed(...values) {
  const bytes = new Uint8Array(4 * values.length), view = viewOf(bytes);
  values.forEach((value, i) => view.setInt32(4 * i, Math.round(value * 65536)));
  return bytes;
}

/** @param {...number} values */
function longs(...values) {
  const bytes = new Uint8Array(4 * values.length), view = viewOf(bytes);
  values.forEach((value, i) => view.setUint32(4 * i, value));
  return bytes;
}

/** A parametric curve (ICC.1, section 10.18): function 0 of a gamma, function 3 of five numbers. @param {readonly number[]} numbers */
function curve(numbers) {
  return joined([bytesOf('para\0\0\0\0'), Uint8Array.of(0, numbers.length > 1 ? 3 : 0, 0, 0), fixed(...numbers)]);
}

/** A version 4 display profile: matrix and curves, or the curve alone for grey. @param {Corners} corners @param {Uint8Array} curve @param {boolean} grey */
function profileOf(corners, curve, grey) {
  const {matrix, adaptation} = toXyz(corners);
  // A text starts at byte 28 of its tag, after one record of language, country, length and place.
  const text = bytesOf([..."fsrcnn: from the picture's own colour tags"].map((character) => `\0${character}`).join(''));
  const words = joined([bytesOf('mluc\0\0\0\0'), longs(1, 12), bytesOf('enUS'), longs(text.length, 28), text]);
  /** @type {[string, Uint8Array][]} */
  const tags = [['desc', words], ['cprt', words], ['wtpt', joined([bytesOf('XYZ \0\0\0\0'), fixed(...D50)])], ['chad', joined([bytesOf('sf32\0\0\0\0'), fixed(...adaptation.flat())])]];
  if (grey) tags.push(['kTRC', curve]);
  else {
    [...'rgb'].forEach((name, i) => tags.push([`${name}XYZ`, joined([bytesOf('XYZ \0\0\0\0'), fixed(...matrix.map((row) => row[i]))])]));
    [...'rgb'].forEach((name) => tags.push([`${name}TRC`, curve]));
  }
  const start = 128 + 4 + 12 * tags.length;
  const table = [longs(tags.length)], body = [];
  /** @type {Map<Uint8Array, number>} */
  const places = new Map();
  let length = 0;
  for (const [name, data] of tags) {
    if (!places.has(data)) {
      places.set(data, start + length);
      body.push(data, new Uint8Array((4 - (data.length % 4)) % 4));
      length += data.length + ((4 - (data.length % 4)) % 4);
    }
    table.push(bytesOf(name), longs(places.get(data) ?? 0, data.length));
  }
  const head = new Uint8Array(128);
  head.set(joined([longs(start + length, 0, 0x04400000), bytesOf(grey ? 'mntrGRAYXYZ ' : 'mntrRGB XYZ '), Uint8Array.of(2020 >> 8, 2020 & 0xff, 0, 1, 0, 1)]));
  head.set(bytesOf('acsp'), 36);
  head.set(fixed(...D50), 68);
  return joined([head, ...table, ...body]);
}
