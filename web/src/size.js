// How large a result shall be, and by which passes of a network that is reached. As src/fsrcnn/size.py has it.

import {UpscaleError} from './errors.js';
import {checkOptions, whole} from './options.js';

const LARGEST_FACTOR = 64;
const MOST_PIXELS = 2 ** 33;

/** @type {import('./options.js').Kind} */
export const FACTOR = [`a number above 1, up to ${LARGEST_FACTOR} (2, 3, 4, 1.5 …)`, (value) => typeof value === 'number' && value > 1 && value <= LARGEST_FACTOR];
/** Of a width or height in pixels. */
export const SIDE = whole(1);
/** @type {Record<string, import('./options.js').Kind>} */
const SIZE = {
  factor: FACTOR,
  width: SIDE,
  height: SIDE,
  fit: ['the [width, height] of a box in whole numbers from 1', (value) => Array.isArray(value) && value.length === 2 && value.every(SIDE[1])],
};

/** @typedef {{factor?: number, width?: number, height?: number, fit?: [number, number]}} Size */

/**
 * (height, width) of the result for a picture of this size.
 * @param {Size} size @param {number} height @param {number} width
 * @returns {[number, number]}
 */
export function sizeOf(size, height, width) {
  const {factor, fit} = checkOptions('a size is', size, SIZE);
  const ways = [factor !== undefined, size.width !== undefined || size.height !== undefined, fit !== undefined];
  if (ways.filter(Boolean).length !== 1)
    throw new UpscaleError('a size is a factor, or a width and/or height, or a box to fit into, and only one of these');
  let wanted;
  if (factor !== undefined) wanted = [factor * height, factor * width];
  else if (fit !== undefined) {
    const smaller = Math.min(fit[0] / width, fit[1] / height);
    wanted = [smaller * height, smaller * width];
  } else wanted = [size.height ?? (height * (size.width ?? 1)) / width, size.width ?? (width * (size.height ?? 1)) / height];
  const rows = Math.max(1, Math.floor(wanted[0] + 0.5)), columns = Math.max(1, Math.floor(wanted[1] + 0.5));
  if (Math.max(rows / height, columns / width) > LARGEST_FACTOR || rows * columns > MOST_PIXELS)
    throw new UpscaleError(`${width}×${height} to ${columns}×${rows} is too much: at most ${LARGEST_FACTOR} times a side and 8,590 megapixels`);
  return [rows, columns];
}

/**
 * The fewest network passes that reach a factor, the least excess among those, the smaller scale first.
 * @param {number} factor @param {number[]} scales
 * @returns {number[]}
 */
export function chain(factor, scales) {
  if (factor <= 1) return [];
  const sorted = [...scales].sort((a, b) => a - b);
  /** @param {number} passes @param {number} from @returns {number[][]} */
  const ways = (passes, from) =>
    passes === 0 ? [[]] : sorted.slice(from).flatMap((scale, i) => ways(passes - 1, from + i).map((rest) => [scale, ...rest]));
  /** @param {number[]} way */
  const product = (way) => way.reduce((a, b) => a * b, 1);
  for (let passes = 1; ; passes++) {
    const reaching = ways(passes, 0).filter((way) => product(way) >= factor);
    if (reaching.length) return reaching.reduce((best, way) => (product(way) < product(best) ? way : best));
  }
}
