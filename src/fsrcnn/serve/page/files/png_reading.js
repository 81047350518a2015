// PNG to pixels: every colour type and depth, palette, transparent colour, Adam7. Rows are taken as they are unpacked, so beside the
// file and the pixels only a row or two are held.

import {viewOf} from './bytes.js';
import {DamagedError} from './errors.js';
import {inflated} from './streams.js';

/** @typedef {import('./containers.js').Chunk} Chunk */
/** @typedef {import('./upright.js').Pixels} Pixels */
/** @typedef {{width: number, height: number, bits: number, colour: number, interlaced: boolean, samples: number}} Header samples: of a pixel in the file */
/** @typedef {{header: Header, palette: Uint8Array | null, transparent: Uint8Array | null, packed: Uint8Array[], before: Chunk[], after: Chunk[], frames: number, complete: boolean}} Png what lies before and after the pixels */

const SAMPLES = new Map([[0, 1], [2, 3], [3, 1], [4, 2], [6, 4]]); // by colour type
const DEPTHS = new Map([[0, [1, 2, 4, 8, 16]], [2, [8, 16]], [3, [1, 2, 4, 8]], [4, [8, 16]], [6, [8, 16]]]);
const PALETTE = 3;
/** Adam7: first column and row, and steps. */
const PASSES = [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];

/** @param {Chunk | undefined} chunk @returns {Header} @throws {DamagedError} */
function headerOf(chunk) {
  if (chunk?.kind !== 'IHDR' || chunk.data.length !== 13) throw new DamagedError({truncated: !chunk || (chunk.kind === 'IHDR' && chunk.data.length < 13)});
  const view = viewOf(chunk.data);
  const [bits, colour, compression, filter, interlace] = chunk.data.subarray(8);
  if (!chunk.intact || !DEPTHS.get(colour)?.includes(bits) || compression || filter || interlace > 1) throw new DamagedError();
  return {width: view.getUint32(0), height: view.getUint32(4), bits, colour, interlaced: interlace === 1, samples: SAMPLES.get(colour) ?? 1};
}

/**
 * What a file says of itself; nothing is unpacked.
 * @param {Iterable<Chunk>} chunks @param {(width: number, height: number) => void} check throws what is too large
 * @returns {Png} @throws {DamagedError}
 */
export function structureOf(chunks, check) {
  /** @type {Header | null} */
  let header = null;
  /** @type {Png} */
  const png = {header: /** @type {any} */ (null), palette: null, transparent: null, packed: [], before: [], after: [], frames: 1, complete: false};
  let between = false; // the pixels have ended
  let wrong = false;
  for (const chunk of chunks) {
    const {kind, data, intact} = chunk;
    if (!header) {
      header = png.header = headerOf(chunk);
      check(header.width, header.height);
      continue;
    }
    if (kind === 'IEND') png.complete = true;
    else if (kind === 'IDAT') {
      wrong ||= between || !intact;
      png.packed.push(data);
    } else {
      between = png.packed.length > 0;
      (between ? png.after : png.before).push(chunk);
      if (kind === 'PLTE') {
        wrong ||= png.palette !== null || !intact || !data.length || data.length % 3 !== 0 || data.length > 768 || between;
        png.palette = data;
      } else if (kind === 'acTL' && data.length >= 4) png.frames = Math.max(1, viewOf(data).getUint32(0));
      else if (kind === 'tRNS' && intact) png.transparent = data;
      else if ((kind.charCodeAt(0) & 0x20) === 0) wrong = true; // whoever does not know it cannot show the picture
    }
  }
  if (!header) throw new DamagedError({truncated: true});
  if (wrong || !png.packed.length || (header.colour === PALETTE && !png.palette)) throw new DamagedError({truncated: !png.complete});
  return png;
}

/** @param {Png} png @returns {Promise<Pixels>} @throws {DamagedError} */
export async function pixelsOf(png) {
  const {header} = png, {width, height, bits, samples} = header;
  const transparency = transparencyOf(png);
  const channels = header.colour === PALETTE ? (transparency ? 4 : 3) : samples + (transparency ? 1 : 0);
  const data = bits === 16 ? new Uint16Array(width * height * channels) : new Uint8Array(width * height * channels);
  const put = placing(png, transparency, data, channels);
  const rows = rowsOf(png);
  try {
    for await (const row of rows) put(row);
  } catch (cause) {
    if (!(cause instanceof DamagedError)) throw cause;
    throw new DamagedError({truncated: !png.complete, cause});
  }
  return {data, width, height, channels};
}

/** Alpha of a palette's colours, or the colour that is transparent; null where there is none of that, or it is not of this picture. @param {Png} png */
function transparencyOf({header, palette, transparent}) {
  if (!transparent) return null;
  if (header.colour === PALETTE) return transparent.length && transparent.length <= (palette?.length ?? 0) / 3 ? transparent : null;
  return [0, 2].includes(header.colour) && transparent.length === 2 * header.samples ? transparent : null;
}

/** @typedef {{bytes: Uint8Array, count: number, y: number, x: number, step: number}} Row unfiltered; of how many pixels; where in the picture they lie */

/** Rows of the picture, or of its passes, as they come. @param {Png} png @returns {AsyncGenerator<Row>} @throws {DamagedError} */
async function* rowsOf({header, packed}) {
  const {width, height, bits, samples, interlaced} = header;
  const before = Math.max(1, (bits * samples) >> 3); // bytes from a sample to the same one of the pixel on the left
  const rows = (function* () {
    for (const [x, y, stepX, stepY] of interlaced ? PASSES : [[0, 0, 1, 1]]) {
      const count = Math.ceil((width - x) / stepX);
      let above = new Uint8Array(count > 0 ? Math.ceil((count * bits * samples) / 8) : 0);
      let bytes = new Uint8Array(above.length);
      for (let row = y; count > 0 && row < height; row += stepY) {
        yield {bytes, above, count, y: row, x, step: stepX};
        [above, bytes] = [bytes, above];
      }
    }
  })();
  let next = rows.next(), filled = -1; // -1: the row's filter comes
  let filter = 0;
  for await (const piece of inflated(packed)) {
    for (let at = 0; at < piece.length; ) {
      if (next.done) return; // more than there are pixels; what follows is passed over
      if (filled < 0) {
        filter = piece[at];
        at += 1;
        filled = 0;
        continue;
      }
      const {bytes, above} = next.value;
      const taken = Math.min(bytes.length - filled, piece.length - at);
      bytes.set(piece.subarray(at, at + taken), filled);
      filled += taken;
      at += taken;
      if (filled < bytes.length) continue;
      unfilter(filter, bytes, above, before);
      yield next.value;
      next = rows.next();
      filled = -1;
    }
  }
  if (!next.done) throw new DamagedError();
}

/** @param {number} filter @param {Uint8Array} row @param {Uint8Array} above @param {number} before @throws {DamagedError} no such filter */
function unfilter(filter, row, above, before) {
  const {length} = row;
  if (filter === 1) for (let i = before; i < length; i += 1) row[i] += row[i - before];
  else if (filter === 2) for (let i = 0; i < length; i += 1) row[i] += above[i];
  else if (filter === 3) {
    for (let i = 0; i < before && i < length; i += 1) row[i] += above[i] >> 1;
    for (let i = before; i < length; i += 1) row[i] += (row[i - before] + above[i]) >> 1;
  } else if (filter === 4) {
    for (let i = 0; i < before && i < length; i += 1) row[i] += above[i];
    for (let i = before; i < length; i += 1) row[i] += paeth(row[i - before], above[i], above[i - before]);
  } else if (filter !== 0) throw new DamagedError();
}

/** Of left, above and above left, what lies nearest to left + above - above left. @param {number} a @param {number} b @param {number} c */
function paeth(a, b, c) {
  const toA = Math.abs(b - c), toB = Math.abs(a - c), toC = Math.abs(a + b - 2 * c);
  return toA <= toB && toA <= toC ? a : toB <= toC ? b : c;
}

/**
 * What puts rows into the pixels.
 * @param {Png} png @param {Uint8Array | null} transparency @param {Uint8Array | Uint16Array} data @param {number} channels
 * @returns {(row: Row) => void}
 */
function placing({header, palette}, transparency, data, channels) {
  const {width, bits, colour, samples} = header;
  if (colour === PALETTE && palette) {
    const colours = palette.length / 3;
    return ({bytes, count, y, x, step}) => {
      for (let i = 0, to = channels * (y * width + x); i < count; i += 1, to += channels * step) {
        const index = bits === 8 ? bytes[i] : small(bytes, i, bits);
        if (index < colours) for (let c = 0; c < 3; c += 1) data[to + c] = palette[3 * index + c];
        if (transparency) data[to + 3] = transparency[index] ?? 255;
      }
    };
  }
  const peak = 2 ** Math.max(bits, 8) - 1;
  const widened = bits < 8 ? 255 / (2 ** bits - 1) : 1;
  const key = transparency && Array.from({length: samples}, (_, c) => (((transparency[2 * c] << 8) | transparency[2 * c + 1]) & (2 ** bits - 1)) * widened);
  const deep = bits === 16;
  return ({bytes, count, y, x, step}) => {
    const start = channels * (y * width + x);
    if (!deep && bits === 8 && step === 1 && !key) {
      data.set(bytes, start);
      return;
    }
    for (let i = 0, to = start, from = 0; i < count; i += 1, to += channels * step, from += samples) {
      let visible = !key;
      for (let c = 0; c < samples; c += 1) {
        const at = from + c;
        const value = deep ? (bytes[2 * at] << 8) | bytes[2 * at + 1] : bits === 8 ? bytes[at] : small(bytes, at, bits) * widened;
        data[to + c] = value;
        if (key && value !== key[c]) visible = true;
      }
      if (key) data[to + samples] = visible ? peak : 0;
    }
  };
}

/** A sample of 1, 2 or 4 bits. @param {Uint8Array} bytes @param {number} i @param {number} bits */
function small(bytes, i, bits) {
  const at = i * bits;
  return (bytes[at >> 3] >> (8 - bits - (at & 7))) & (2 ** bits - 1);
}
