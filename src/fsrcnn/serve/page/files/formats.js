// The formats that a browser reads and writes here; the limits are those of src/fsrcnn/formats.py.

import {latin1, startsWith} from './bytes.js';

/** @typedef {'png' | 'jpg' | 'webp'} Format */

/** @type {Record<Format, {type: string, largestSide: number, deep: boolean, grey: boolean, alpha: boolean, quality: number | null}>} */
export const FORMATS = {
  png: {type: 'image/png', largestSide: 10_000_000, deep: true, grey: true, alpha: true, quality: null},
  jpg: {type: 'image/jpeg', largestSide: 65_500, deep: false, grey: true, alpha: false, quality: 92},
  webp: {type: 'image/webp', largestSide: 16_383, deep: false, grey: false, alpha: true, quality: 90},
};
export const MAX_PIXELS = 2 ** 28; // of one picture as read: 268 megapixels, as on the command line
export const MOST_BYTES = 2 ** 31 - 2 ** 16; // of a file: the most that browsers hold in one piece
export const START = 64; // bytes of a file that tell its format

/** What a program of this house takes beside PNG, JPEG and WebP, by the first bytes. @type {[string, string][]} */
const STARTS = [
  ['\x89PNG\r\n\x1a\n', 'png'], ['\xff\xd8\xff', 'jpg'], ['GIF87a', 'GIF'], ['GIF89a', 'GIF'], ['BM', 'BMP'],
  ['II*\0', 'TIFF'], ['MM\0*', 'TIFF'], ['II+\0', 'TIFF'], ['MM\0+', 'TIFF'],
];
const AV1 = ['avif', 'avis'];
const HEIF = ['heic', 'heix', 'hevc', 'heim', 'heis', 'hevm', 'hevs', 'mif1', 'msf1'];

/**
 * What a file is by its first bytes: a `Format`; the name of another that the command line reads; null for none of these.
 * @param {Uint8Array} start @returns {string | null}
 */
export function kindOf(start) {
  if (startsWith(start, 'RIFF') && latin1(start, 8, 12) === 'WEBP') return 'webp';
  if (latin1(start, 4, 8) === 'ftyp') {
    const end = Math.min(((start[0] << 24) | (start[1] << 16) | (start[2] << 8) | start[3]) >>> 0, START);
    const brands = [latin1(start, 8, 12)];
    for (let at = 16; at < end; at += 4) brands.push(latin1(start, at, at + 4));
    if (brands.some((brand) => AV1.includes(brand))) return 'AVIF';
    return brands.some((brand) => HEIF.includes(brand)) ? 'HEIC' : null;
  }
  return STARTS.find(([magic]) => startsWith(start, magic))?.[1] ?? null;
}

/** @param {string} kind @returns {kind is Format} */
export function isFormat(kind) {
  return kind in FORMATS;
}
