// Pixels as lossless WebP (RFC 9649, section 3), every one of them, colours under full transparency too, which a canvas does not keep.

import {joined} from './bytes.js';
import {codeSizes, codesOf, ordered} from './huffman.js';

/** @typedef {import('./upright.js').Pixels} Pixels */
/** @typedef {{codes: Uint32Array, lengths: Uint8Array, used: Uint8Array}} Code `lengths` are as a table says them, `used` what a symbol takes */

const PREDICTOR = 0, SUBTRACT_GREEN = 2; // transforms
const BLOCK_BITS = 5; // squares of 32 pixels have a predictor each
const TOP = 2, AVERAGE = 7, SELECT = 11, GRADIENT = 12; // predictors, of 14 that there are
const PREDICTORS = [TOP, AVERAGE, SELECT, GRADIENT];
const LITERALS = 256, LENGTHS = 24, DISTANCES = 40;
const LOSSLESS_ALPHA = 1; // how ALPH is packed; 0 is not at all
const LEFT = 1; // the distance symbol of the pixel before
const LONGEST_RUN = 4096, SHORTEST_RUN = 4;
const LONGEST_CODE = 15, LONGEST_CODE_OF_LENGTHS = 7;
const ORDER_OF_LENGTHS = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/** @param {Pixels} pixels 8 bit, RGB or RGBA @returns {Uint8Array} data of a chunk VP8L */
export function encoded({data, width, height, channels}) {
  const bits = new Bits();
  bits.put(0x2f, 8);
  bits.put(width - 1, 14);
  bits.put(height - 1, 14);
  bits.put(channels === 4 ? 1 : 0, 1);
  bits.put(0, 3);
  bits.put(1, 1);
  bits.put(SUBTRACT_GREEN, 2);
  putPicture(bits, withoutGreen(data, channels, width * height), width, height);
  return bits.bytes();
}

/** Transparency alone, which goes beside lossy colours. @param {Pixels} pixels 8 bit, RGBA @returns {Uint8Array} data of a chunk ALPH */
export function encodedAlpha({data, width, height}) {
  const rgba = new Uint8Array(4 * width * height);
  for (let i = 0; i < rgba.length; i += 4) [rgba[i + 1], rgba[i + 3]] = [data[i + 3], 255];
  const bits = new Bits();
  bits.put(LOSSLESS_ALPHA, 8);
  putPicture(bits, rgba, width, height);
  return bits.bytes();
}

/** @param {Bits} bits @param {Uint8Array} rgba @param {number} width @param {number} height */
function putPicture(bits, rgba, width, height) {
  const {residuals, modes} = predicted(rgba, width, height);
  bits.put(1, 1);
  bits.put(PREDICTOR, 2);
  bits.put(BLOCK_BITS - 2, 3);
  putPixels(bits, modes, false);
  bits.put(0, 1); // no further transform
  putPixels(bits, residuals, true);
}

/** Bits, the lowest first. */
class Bits {
  constructor() {
    /** @type {Uint8Array[]} */
    this.full = [];
    this.piece = new Uint8Array(2 ** 20);
    this.used = 0;
    this.waiting = 0;
    this.count = 0;
  }

  /** @param {number} value @param {number} length at most 16 */
  put(value, length) {
    this.waiting |= value << this.count;
    this.count += length;
    for (; this.count >= 8; this.count -= 8, this.waiting >>>= 8) {
      if (this.used === this.piece.length) {
        this.full.push(this.piece);
        [this.piece, this.used] = [new Uint8Array(2 ** 20), 0];
      }
      this.piece[this.used] = this.waiting & 0xff;
      this.used += 1;
    }
  }

  bytes() {
    this.put(0, (8 - this.count) % 8);
    return joined([...this.full, this.piece.subarray(0, this.used)]);
  }
}

/** RGBA of which green is taken from red and blue. @param {Uint8Array | Uint16Array} data @param {number} channels @param {number} count */
function withoutGreen(data, channels, count) {
  const rgba = new Uint8Array(4 * count);
  for (let i = 0, from = 0; i < rgba.length; i += 4, from += channels) {
    const green = data[from + 1];
    rgba[i] = data[from] - green;
    rgba[i + 1] = green;
    rgba[i + 2] = data[from + 2] - green;
    rgba[i + 3] = channels === 4 ? data[from + 3] : 255;
  }
  return rgba;
}

/**
 * What is left of pixels when those around them have foretold them, and by which predictor in each square.
 * @param {Uint8Array} rgba @param {number} width @param {number} height
 */
function predicted(rgba, width, height) {
  const side = 2 ** BLOCK_BITS, across = Math.ceil(width / side), down = Math.ceil(height / side);
  const residuals = new Uint8Array(rgba.length), modes = new Uint8Array(4 * across * down);
  const foretold = new Uint8Array(4);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const at = 4 * (y * width + x);
      const square = 4 * ((y >> BLOCK_BITS) * across + (x >> BLOCK_BITS));
      if (x % side === 0 && y % side === 0) modes[square + 1] = bestMode(rgba, width, x, y, Math.min(width, x + side), Math.min(height, y + side));
      if (x && y) foretell(foretold, rgba, at, 4 * width, modes[square + 1]);
      else if (x || y) for (let c = 0; c < 4; c += 1) foretold[c] = rgba[at + c - (x ? 4 : 4 * width)];
      else foretold.set([0, 0, 0, 255]);
      for (let c = 0; c < 4; c += 1) residuals[at + c] = rgba[at + c] - foretold[c];
    }
  }
  return {residuals, modes};
}

/** @param {Uint8Array} result @param {Uint8Array} rgba @param {number} at @param {number} row bytes of one @param {number} mode */
function foretell(result, rgba, at, row, mode) {
  if (mode === TOP) for (let c = at - row, to = 0; to < 4; c += 1, to += 1) result[to] = rgba[c];
  else if (mode === AVERAGE) for (let c = at, to = 0; to < 4; c += 1, to += 1) result[to] = (rgba[c - 4] + rgba[c - row]) >> 1;
  else if (mode === GRADIENT) {
    for (let c = at, to = 0; to < 4; c += 1, to += 1) {
      const value = rgba[c - 4] + rgba[c - row] - rgba[c - row - 4];
      result[to] = value < 0 ? 0 : value > 255 ? 255 : value;
    }
  } else {
    let toLeft = 0, toTop = 0;
    for (let c = at; c < at + 4; c += 1) {
      toLeft += Math.abs(rgba[c - row] - rgba[c - row - 4]);
      toTop += Math.abs(rgba[c - 4] - rgba[c - row - 4]);
    }
    const from = toLeft < toTop ? at - 4 : at - row;
    for (let c = 0; c < 4; c += 1) result[c] = rgba[from + c];
  }
}

/** The predictor that leaves least of a square, by every fourth of its pixels. @param {Uint8Array} rgba @param {number} width @param {number} left @param {number} top @param {number} right @param {number} bottom */
function bestMode(rgba, width, left, top, right, bottom) {
  const foretold = new Uint8Array(4);
  let best = AVERAGE, least = Infinity;
  for (const mode of PREDICTORS) {
    let sum = 0;
    for (let y = Math.max(1, top); y < bottom; y += 1) {
      for (let x = Math.max(1, left + 3 - (y & 3)); x < right; x += 4) {
        const at = 4 * (y * width + x);
        foretell(foretold, rgba, at, 4 * width, mode);
        for (let c = 0; c < 4; c += 1) sum += Math.abs(((rgba[at + c] - foretold[c]) << 24) >> 24);
      }
    }
    if (sum < least) [best, least] = [mode, sum];
  }
  return best;
}

/** An image by its own prefix codes: pixels, and runs of one. @param {Bits} bits @param {Uint8Array} rgba @param {boolean} main */
function putPixels(bits, rgba, main) {
  const often = [LITERALS + LENGTHS, LITERALS, LITERALS, LITERALS, DISTANCES].map((size) => new Float64Array(size));
  const [green, red, blue, alpha, distance] = often;
  eachRun(rgba, (at, run) => {
    green[rgba[at + 1]] += 1;
    red[rgba[at]] += 1;
    blue[rgba[at + 2]] += 1;
    alpha[rgba[at + 3]] += 1;
    if (!run) return;
    green[LITERALS + prefixOf(run).prefix] += 1;
    distance[LEFT] += 1;
  });
  bits.put(0, 1); // no cache of colours
  if (main) bits.put(0, 1); // one set of codes for all of it
  const codes = often.map((counts) => putCode(bits, counts));
  const put = (/** @type {Code} */ code, /** @type {number} */ symbol) => bits.put(code.codes[symbol], code.used[symbol]);
  eachRun(rgba, (at, run) => {
    put(codes[0], rgba[at + 1]);
    put(codes[1], rgba[at]);
    put(codes[2], rgba[at + 2]);
    put(codes[3], rgba[at + 3]);
    if (!run) return;
    const {prefix, extra, value} = prefixOf(run);
    put(codes[0], LITERALS + prefix);
    bits.put(value, extra);
    put(codes[4], LEFT);
  });
}

/** Pixels one after the other, and how many like it follow and are passed over. @param {Uint8Array} rgba @param {(at: number, run: number) => void} call */
function eachRun(rgba, call) {
  const {length} = rgba;
  for (let at = 0; at < length; ) {
    let end = at + 4;
    const last = Math.min(length, at + 4 + 4 * LONGEST_RUN);
    while (end < last && rgba[end] === rgba[at] && rgba[end + 1] === rgba[at + 1] && rgba[end + 2] === rgba[at + 2] && rgba[end + 3] === rgba[at + 3]) end += 4;
    const run = (end - at) / 4 - 1;
    call(at, run < SHORTEST_RUN ? 0 : run);
    at = run < SHORTEST_RUN ? at + 4 : end;
  }
}

/** The symbol of a length, and the bits that follow it. @param {number} length */
function prefixOf(length) {
  const value = length - 1;
  if (value < 4) return {prefix: value, extra: 0, value: 0};
  const highest = 31 - Math.clz32(value), second = (value >> (highest - 1)) & 1;
  return {prefix: 2 * highest + second, extra: highest - 1, value: value & (2 ** (highest - 1) - 1)};
}

/** Writes a prefix code. @param {Bits} bits @param {Float64Array} often @returns {Code} */
function putCode(bits, often) {
  const used = [...often.keys()].filter((symbol) => often[symbol]);
  if (used.length <= 2 && used.every((symbol) => symbol < LITERALS)) {
    const symbols = used.length ? used : [0];
    bits.put(1, 1);
    bits.put(symbols.length - 1, 1);
    bits.put(1, 1);
    symbols.forEach((symbol) => bits.put(symbol, 8));
    const lengths = new Uint8Array(often.length), code = {codes: new Uint32Array(often.length), lengths, used: lengths};
    if (symbols.length === 2) symbols.forEach((symbol, i) => [code.codes[symbol], code.lengths[symbol]] = [i, 1]);
    return code;
  }
  const code = codeOf(often, LONGEST_CODE);
  const ofLengths = new Float64Array(ORDER_OF_LENGTHS.length);
  for (const length of code.lengths) ofLengths[length] += 1;
  const lengthsCode = codeOf(ofLengths, LONGEST_CODE_OF_LENGTHS);
  bits.put(0, 1);
  bits.put(ORDER_OF_LENGTHS.length - 4, 4);
  for (const length of ORDER_OF_LENGTHS) bits.put(lengthsCode.lengths[length], 3);
  bits.put(0, 1); // every symbol has a length
  for (const length of code.lengths) bits.put(lengthsCode.codes[length], lengthsCode.used[length]);
  return code;
}

/** Codes as they are written here: their first bit lowest. @param {Float64Array} often @param {number} longest @returns {Code} */
function codeOf(often, longest) {
  const {symbols, lengths} = ordered(codeSizes(often, longest));
  if (!symbols.length) { // one symbol alone, which takes no bits, but must have a length
    lengths[often.findIndex(Boolean)] = 1;
    return {codes: new Uint32Array(often.length), lengths, used: new Uint8Array(often.length)};
  }
  symbols.sort((a, b) => lengths[a] - lengths[b] || a - b); // readers know the lengths alone
  const codes = codesOf(symbols, lengths);
  for (const symbol of symbols) {
    let turned = 0;
    for (let bit = 0; bit < lengths[symbol]; bit += 1) turned |= ((codes[symbol] >> bit) & 1) << (lengths[symbol] - 1 - bit);
    codes[symbol] = turned;
  }
  return {codes, lengths, used: lengths};
}
