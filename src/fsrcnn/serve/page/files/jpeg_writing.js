// Pixels as baseline JPEG (ITU-T T.81), as libjpeg computes it: BT.601 in fixed point, its slow integer DCT, the tables of annex K scaled
// by quality, Huffman tables made for the picture. So a quality means what it means to `fsrcnn upscale`, whose coded data are the same
// byte for byte, grey stays one channel, and no browser's canvas touches a pixel.

import {viewOf} from './bytes.js';
import {jpegSegment} from './containers.js';
import {codeSizes, codesOf, ordered} from './huffman.js';

/** @typedef {import('./upright.js').Pixels} Pixels */
/** @typedef {{codes: Uint32Array, lengths: Uint8Array, counts: Uint8Array, symbols: Uint8Array}} Huffman */

export const LUMINANCE = [
  16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62, 18, 22,
  37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
];
const CHROMINANCE = [
  17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
  ...Array(32).fill(99),
];
const ZIGZAG = [
  0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50,
  43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];
const FULL_COLOUR = 90; // the quality from which chroma keeps its size
const LONGEST_CODE = 16, RUN_OF_16 = 0xf0, END_OF_BLOCK = 0;
const TOKENS = 2 ** 18; // in a piece

/** A table of annex K at a quality, row by row. @param {readonly number[]} table @param {number} quality */
export function scaled(table, quality) {
  const percent = quality < 50 ? Math.floor(5000 / quality) : 200 - 2 * quality;
  return table.map((value) => Math.min(255, Math.max(1, Math.floor((value * percent + 50) / 100))));
}

/** @param {Pixels} pixels 8 bit, grey or RGB @param {number} quality @param {readonly Uint8Array[]} segments of what it carries @returns {Uint8Array[]} a file */
export function encoded(pixels, quality, segments) {
  const {width, height, channels} = pixels;
  const tables = [LUMINANCE, CHROMINANCE].slice(0, channels === 1 ? 1 : 2).map((table) => scaled(table, quality));
  const halved = channels === 3 && quality < FULL_COLOUR;
  const {pieces, frequencies} = tokensOf(pixels, tables, halved);
  const codes = frequencies.map((table) => huffmanOf(table));
  const components = channels === 1 ? [[1, 0x11, 0]] : [[1, halved ? 0x22 : 0x11, 0], [2, 0x11, 1], [3, 0x11, 1]];
  const size = new Uint8Array(4);
  viewOf(size).setUint16(0, height);
  viewOf(size).setUint16(2, width);
  return [
    Uint8Array.of(0xff, 0xd8), ...segments,
    ...tables.map((table, number) => jpegSegment(0xdb, Uint8Array.of(number, ...ZIGZAG.map((place) => table[place])))),
    jpegSegment(0xc0, Uint8Array.of(8), size, Uint8Array.of(components.length, ...components.flat())),
    // Tables of luma, then of chroma; DC, then AC.
    ...codes.map(({counts, symbols}, number) => jpegSegment(0xc4, Uint8Array.of(((number & 1) << 4) | (number >> 1)), counts, symbols)),
    jpegSegment(0xda, Uint8Array.of(components.length, ...components.flatMap(([id, , table]) => [id, (table << 4) | table]), 0, 63, 0)),
    ...coded(pieces, codes),
    Uint8Array.of(0xff, 0xd9),
  ];
}

/**
 * What is to be coded: 2 bits of which code, 8 of its symbol, 16 of what follows it; and how often each symbol of each code comes.
 * @param {Pixels} pixels @param {readonly number[][]} tables @param {boolean} halved
 */
function tokensOf(pixels, tables, halved) {
  const {width, height, channels} = pixels;
  const frequencies = Array.from({length: 2 * tables.length}, () => new Float64Array(257));
  /** @type {Uint32Array[]} */
  const pieces = [];
  let piece = new Uint32Array(TOKENS), used = 0;
  const side = halved ? 16 : 8; // of a unit (MCU)
  const across = Math.ceil(width / side), padded = across * side;
  const planes = Array.from({length: channels}, () => new Uint8Array(padded * side));
  const halves = halved ? [1, 2].map(() => new Uint8Array((padded / 2) * 8)) : [];
  const block = new Int32Array(64), levels = new Int16Array(64), before = [0, 0, 0];
  const divisors = tables.map((table) => Int32Array.from(table, (value) => 8 * value));

  const put = (/** @type {number} */ code, /** @type {number} */ symbol, /** @type {number} */ bits) => {
    frequencies[code][symbol] += 1;
    piece[used] = (code << 24) | (symbol << 16) | bits;
    used += 1;
  };
  const code = (/** @type {number} */ component, /** @type {boolean} */ real) => {
    if (used > TOKENS - 200) {
      pieces.push(piece.subarray(0, used));
      [piece, used] = [new Uint32Array(TOKENS), 0];
    }
    const table = component ? 2 : 0;
    const step = real ? levels[0] - before[component] : 0;
    if (real) before[component] = levels[0];
    const size = 32 - Math.clz32(Math.abs(step));
    put(table, size, (step < 0 ? step - 1 : step) & (2 ** size - 1));
    let run = 0;
    for (let k = 1; real && k < 64; k += 1) {
      const level = levels[k];
      if (level === 0) {
        run += 1;
        continue;
      }
      for (; run > 15; run -= 16) put(table + 1, RUN_OF_16, 0);
      const length = 32 - Math.clz32(Math.abs(level));
      put(table + 1, (run << 4) | length, (level < 0 ? level - 1 : level) & (2 ** length - 1));
      run = 0;
    }
    if (run || !real) put(table + 1, END_OF_BLOCK, 0);
  };
  const transform = (/** @type {Uint8Array} */ plane, /** @type {number} */ stride, /** @type {number} */ x, /** @type {number} */ y, /** @type {number} */ table) => {
    for (let row = 0, to = 0; row < 8; row += 1) {
      for (let from = (y + row) * stride + x, end = from + 8; from < end; from += 1, to += 1) block[to] = plane[from] - 128;
    }
    forwardDct(block);
    const divisor = divisors[table];
    for (let k = 0; k < 64; k += 1) {
      const place = ZIGZAG[k], value = block[place], d = divisor[place];
      levels[k] = value < 0 ? -(((-value + (d >> 1)) / d) | 0) : ((value + (d >> 1)) / d) | 0;
    }
  };

  for (let top = 0; top < height; top += side) {
    for (let row = 0; row < side; row += 1) convert(pixels, Math.min(top + row, height - 1), planes, row * padded, padded);
    halves.forEach((half, i) => halve(planes[1 + i], padded, half, Math.min(8, Math.ceil((height - top) / 2))));
    for (let x = 0; x < padded; x += side) {
      if (halved) {
        // Blocks beyond the last ones of the picture repeat the brightness of the one before them, and hold nothing else.
        for (const [dx, dy] of [[0, 0], [8, 0], [0, 8], [8, 8]]) {
          const real = x + dx < width && top + dy < height;
          if (real) transform(planes[0], padded, x + dx, dy, 0);
          code(0, real);
        }
        halves.forEach((half, i) => {
          transform(half, padded / 2, x / 2, 0, 1);
          code(1 + i, true);
        });
      } else {
        planes.forEach((plane, component) => {
          transform(plane, padded, x, 0, component ? 1 : 0);
          code(component, true);
        });
      }
    }
  }
  pieces.push(piece.subarray(0, used));
  return {pieces, frequencies};
}

/** A row of pixels as brightness and colour differences, its last pixel repeated to the end. @param {Pixels} pixels @param {number} y @param {readonly Uint8Array[]} planes @param {number} start @param {number} padded */
function convert({data, width, channels}, y, [luma, blue, red], start, padded) {
  if (channels === 1) luma.set(data.subarray(y * width, (y + 1) * width), start);
  else {
    for (let from = 3 * y * width, to = start; to < start + width; from += 3, to += 1) {
      const r = data[from], g = data[from + 1], b = data[from + 2];
      luma[to] = (19595 * r + 38470 * g + 7471 * b + 32768) >> 16;
      blue[to] = (-11059 * r - 21709 * g + 32768 * b + 8421375) >> 16;
      red[to] = (32768 * r - 27439 * g - 5329 * b + 8421375) >> 16;
    }
  }
  for (const plane of [luma, blue, red]) plane?.fill(plane[start + width - 1], start + width, start + padded);
}

/** Means of 2×2; rows after the first `rows` repeat the last. @param {Uint8Array} plane @param {number} stride @param {Uint8Array} half @param {number} rows */
function halve(plane, stride, half, rows) {
  const width = stride / 2;
  for (let y = 0; y < rows; y += 1) {
    for (let x = 0, from = 2 * y * stride, bias = 1; x < width; x += 1, from += 2, bias ^= 3) {
      half[y * width + x] = (plane[from] + plane[from + 1] + plane[from + stride] + plane[from + stride + 1] + bias) >> 2;
    }
  }
  for (let y = rows; y < 8; y += 1) half.copyWithin(y * width, (y - 1) * width, y * width);
}

/** libjpeg's slow integer DCT, in place, 8 times too large. @param {Int32Array} block */
function forwardDct(block) {
  for (let row = 0; row < 64; row += 8) pass(block, row, 1, 11, true);
  for (let column = 0; column < 8; column += 1) pass(block, column, 8, 15, false);
}

/** Eight values, at `step` from each other. @param {Int32Array} d @param {number} at @param {number} step @param {number} shift @param {boolean} first */
function pass(d, at, step, shift, first) {
  const a = d[at], b = d[at + step], c = d[at + 2 * step], e = d[at + 3 * step];
  const f = d[at + 4 * step], g = d[at + 5 * step], h = d[at + 6 * step], i = d[at + 7 * step];
  const even0 = a + i + e + f, even3 = a + i - e - f, even1 = b + h + c + g, even2 = b + h - c - g;
  const half = 1 << (shift - 1);
  d[at] = first ? (even0 + even1) << 2 : (even0 + even1 + 2) >> 2;
  d[at + 4 * step] = first ? (even0 - even1) << 2 : (even0 - even1 + 2) >> 2;
  const turned = (even2 + even3) * 4433 + half;
  d[at + 2 * step] = (turned + even3 * 6270) >> shift;
  d[at + 6 * step] = (turned - even2 * 15137) >> shift;
  const o4 = e - f, o5 = c - g, o6 = b - h, o7 = a - i;
  const z5 = (o4 + o6 + o5 + o7) * 9633 + half;
  const z1 = (o4 + o7) * -7373, z2 = (o5 + o6) * -20995, z3 = (o4 + o6) * -16069 + z5, z4 = (o5 + o7) * -3196 + z5;
  d[at + 7 * step] = (o4 * 2446 + z1 + z3) >> shift;
  d[at + 5 * step] = (o5 * 16819 + z2 + z4) >> shift;
  d[at + 3 * step] = (o6 * 25172 + z2 + z3) >> shift;
  d[at + step] = (o7 * 12299 + z1 + z4) >> shift;
}

/** @param {Float64Array} often of 256 symbols, and 0 @returns {Huffman} */
function huffmanOf(often) {
  often[256] = 1; // so that no symbol gets the code of ones alone
  const {sizes, counts} = codeSizes(often, LONGEST_CODE);
  sizes[256] = 0;
  let longest = LONGEST_CODE;
  while (!counts[longest]) longest -= 1;
  counts[longest] -= 1;
  const {symbols, lengths} = ordered({sizes, counts});
  return {codes: codesOf(symbols, lengths), lengths, counts: Uint8Array.from(counts.subarray(1, 1 + LONGEST_CODE)), symbols: Uint8Array.from(symbols)};
}

/** Tokens as bits. @param {readonly Uint32Array[]} pieces @param {readonly Huffman[]} codes @returns {Uint8Array[]} */
function coded(pieces, codes) {
  const results = [];
  let waiting = 0, count = 0; // bits
  for (const piece of pieces) {
    // At most 16 bits of code and 11 that follow, of which each byte may be 0xff and take two.
    const bytes = new Uint8Array(8 * piece.length + 4);
    let used = 0;
    const put = (/** @type {number} */ value, /** @type {number} */ length) => {
      waiting = (waiting << length) | value;
      count += length;
      while (count >= 8) {
        count -= 8;
        const byte = (waiting >>> count) & 0xff;
        bytes[used] = byte;
        used += byte === 0xff ? 2 : 1;
      }
      waiting &= (1 << count) - 1;
    };
    for (const token of piece) {
      const symbol = (token >> 16) & 0xff, {codes: own, lengths} = codes[token >> 24];
      put(own[symbol], lengths[symbol]);
      if (symbol & 15) put(token & 0xffff, symbol & 15);
    }
    if (piece === pieces[pieces.length - 1] && count) put((1 << (8 - count)) - 1, 8 - count);
    results.push(bytes.slice(0, used));
  }
  return results;
}
