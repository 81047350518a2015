// Pixels as PNG, packed row by row: beside the pixels only what has been packed is held.

import {viewOf} from './bytes.js';
import {PNG_SIGNATURE, pngChunk} from './containers.js';
import {paeth} from './png_reading.js';
import {deflated} from './streams.js';

/** @typedef {import('./upright.js').Pixels} Pixels */

const COLOURS = [0, 0, 4, 2, 6]; // by channels
const AT_ONCE = 2 ** 18; // bytes that are packed, or made a chunk, at a time

/**
 * @param {Pixels} pixels 8 or 16 bit @param {readonly [string, Uint8Array][]} chunks between header and pixels
 * @returns {Promise<Blob>}
 */
export async function encoded(pixels, chunks) {
  const {data, width, height, channels} = pixels;
  const header = new Uint8Array(13);
  viewOf(header).setUint32(0, width);
  viewOf(header).setUint32(4, height);
  header.set([data instanceof Uint16Array ? 16 : 8, COLOURS[channels]], 8);
  /** @type {any[]} */
  const parts = [PNG_SIGNATURE, ...pngChunk('IHDR', header), ...chunks.flatMap(([kind, bytes]) => pngChunk(kind, bytes))];
  let block = new Uint8Array(AT_ONCE), filled = 0;
  for await (const piece of deflated(filteredRows(pixels))) {
    if (filled + piece.length > block.length) {
      parts.push(...pngChunk('IDAT', block.subarray(0, filled)));
      [block, filled] = [new Uint8Array(Math.max(AT_ONCE, piece.length)), 0];
    }
    block.set(piece, filled);
    filled += piece.length;
  }
  if (filled) parts.push(...pngChunk('IDAT', block.subarray(0, filled)));
  parts.push(...pngChunk('IEND', new Uint8Array()));
  return new Blob(parts, {type: 'image/png'});
}

/**
 * Rows with the filter in front that leaves the smallest numbers, several at a time.
 * @param {Pixels} pixels @returns {Generator<Uint8Array>}
 */
function* filteredRows({data, width, height, channels}) {
  const deep = data instanceof Uint16Array;
  const before = channels * (deep ? 2 : 1), length = width * before;
  const together = Math.max(1, Math.floor(AT_ONCE / (length + 1)));
  let row = new Uint8Array(length), above = new Uint8Array(length);
  const tries = [1, 2, 3, 4].map(() => new Uint8Array(length));
  for (let y = 0; y < height; y += together) {
    const count = Math.min(together, height - y);
    const block = new Uint8Array(count * (length + 1));
    for (let i = 0; i < count; i += 1) {
      const samples = data.subarray((y + i) * width * channels, (y + i + 1) * width * channels);
      if (deep) for (let s = 0; s < samples.length; s += 1) [row[2 * s], row[2 * s + 1]] = [samples[s] >> 8, samples[s] & 0xff];
      else row.set(samples);
      filter(row, above, before, tries);
      const sums = [row, ...tries].map(sizeOf);
      const best = sums.indexOf(Math.min(...sums));
      block[i * (length + 1)] = best;
      block.set(best ? tries[best - 1] : row, i * (length + 1) + 1);
      [row, above] = [above, row];
    }
    yield block;
  }
}

/** Sub, Up, Average and Paeth. @param {Uint8Array} row @param {Uint8Array} above @param {number} before @param {Uint8Array[]} results */
function filter(row, above, before, [sub, up, average, byPaeth]) {
  for (let i = 0; i < row.length; i += 1) {
    const value = row[i], b = above[i];
    const a = i < before ? 0 : row[i - before], c = i < before ? 0 : above[i - before];
    sub[i] = value - a;
    up[i] = value - b;
    average[i] = value - ((a + b) >> 1);
    byPaeth[i] = value - paeth(a, b, c);
  }
}

/** The sum of bytes as signed numbers, without their signs: small where a row packs well. @param {Uint8Array} bytes */
function sizeOf(bytes) {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 1) sum += bytes[i] < 128 ? bytes[i] : 256 - bytes[i];
  return sum;
}
