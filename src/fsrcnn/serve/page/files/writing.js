// A picture as a file. PNG, JPEG and lossless WebP are written here, the colours of a lossy WebP by the browser.

import {encodedWebp} from './canvas.js';
import {DamagedError, PictureError} from './errors.js';
import {FORMATS, isFormat} from './formats.js';
import * as jpeg from './jpeg.js';
import {encoded as encodedJpeg} from './jpeg_writing.js';
import {checkColours, fitted, pngChunksOf} from './metadata.js';
import {encoded as encodedPng} from './png_writing.js';
import * as webp from './webp.js';
import {encodedAlpha, encoded as encodedLossless} from './webp_lossless.js';
import {ERRORS, NOTES} from './words.js';

/** @typedef {import('./formats.js').Format} Format */
/** @typedef {import('./metadata.js').Metadata} Metadata */
/** @typedef {import('./upright.js').Pixels} Pixels */
/** @typedef {{format: Format, quality?: number | null, lossless?: boolean, metadata?: Metadata}} Options quality: 1 to 100, 92 of JPEG and 90 of WebP where it is not given */

/**
 * @param {Pixels} pixels @param {Options} options
 * @returns {Promise<{blob: Blob, notes: string[]}>} notes: what of it could not be written
 * @throws {PictureError}
 */
export async function write(pixels, options) {
  check(pixels, options);
  try {
    return await written(pixels, options);
  } catch (cause) {
    if (cause instanceof RangeError) throw new PictureError(ERRORS.outOfMemory, {cause});
    // Of a canvas that is too large; or what it gives is no lossy WebP.
    if (cause instanceof DOMException || cause instanceof DamagedError) throw new PictureError(ERRORS.noEncoding(pixels.width, pixels.height, options.format), {cause});
    throw cause;
  }
}

/** Refuse, before the work, what a format cannot hold. @param {Pixels} pixels @param {Options} options @throws {PictureError} */
export function check({data, width, height, channels}, {format, quality, lossless = false, metadata = {}}) {
  if (!isFormat(format)) throw new PictureError(ERRORS.format(format));
  if (quality != null && !(Number.isInteger(quality) && quality >= 1 && quality <= 100)) throw new PictureError(ERRORS.quality(quality));
  if (quality != null && lossless) throw new PictureError(ERRORS.qualityAndLossless);
  const {largestSide, deep} = FORMATS[format];
  if (Math.max(width, height) > largestSide) throw new PictureError(ERRORS.longSide(width, height, format, largestSide));
  checkColours(metadata, format, channels <= 2 && FORMATS[format].grey);
  if (lossless && format === 'jpg') throw new PictureError(ERRORS.neverLossless(format));
  if (lossless && !deep && data instanceof Uint16Array) throw new PictureError(ERRORS.losslessBits(format));
}

/** @param {Pixels} pixels @param {Options} options @returns {Promise<{blob: Blob, notes: string[]}>} */
async function written(pixels, {format, quality, lossless = false, metadata = {}}) {
  const {width, height, channels} = pixels, {deep, grey, type} = FORMATS[format];
  /** @type {string[]} */
  const notes = [];
  if (format === 'jpg' && isTransparent(pixels)) notes.push(NOTES.transparency);
  const fit = fitted(metadata, format, {grey: grey && channels <= 2, width, height});
  notes.push(...fit.notes);
  if (!deep && pixels.data instanceof Uint16Array) notes.push(NOTES.bits(format));
  if (format === 'png') return {blob: await encodedPng(pixels, await pngChunksOf(fit)), notes};
  const shallow = of8Bits(pixels), asked = quality ?? FORMATS[format].quality ?? 100;
  /** @type {Uint8Array[]} */
  let parts;
  if (format === 'jpg') parts = encodedJpeg(opaque(shallow), asked, jpeg.segmentsOf(fit.metadata, fit.resolution));
  else {
    const rgb = coloured(shallow), exact = lossless || (quality == null && metadata.format === 'webp' && metadata.lossless);
    parts = webp.fileOf(rgb, exact ? [['VP8L', encodedLossless(rgb)]] : await lossy(rgb, asked), rgb.channels === 4, fit.metadata);
  }
  return {blob: new Blob(/** @type {any[]} */ (parts), {type}), notes};
}

/** The chunks of a lossy WebP. @param {Pixels} pixels 8 bit, RGB or RGBA @param {number} quality @returns {Promise<[string, Uint8Array][]>} */
async function lossy(pixels, quality) {
  const file = await encodedWebp(pixels, quality);
  if (!file) throw new PictureError(ERRORS.noWriter('webp'));
  /** @type {[string, Uint8Array]} */
  const colours = ['VP8 ', webp.coloursOf(file)];
  return pixels.channels === 4 ? [['ALPH', encodedAlpha(pixels)], colours] : [colours];
}

/** Whether a pixel lets through what is behind it. @param {Pixels} pixels */
function isTransparent({data, channels}) {
  if (channels % 2) return false;
  const peak = data instanceof Uint16Array ? 65_535 : 255;
  for (let i = channels - 1; i < data.length; i += channels) if (data[i] < peak) return true;
  return false;
}

/** @param {Pixels} pixels @returns {Pixels} */
function of8Bits(pixels) {
  const {data} = pixels;
  if (!(data instanceof Uint16Array)) return pixels;
  const factor = Math.fround(255 / 65_535); // in float32, as the command line rounds
  return {...pixels, data: Uint8Array.from(data, (value) => Math.fround(Math.fround(value * factor) + 0.5))};
}

/** Without alpha: what was transparent becomes white. @param {Pixels} pixels 8 bit @returns {Pixels} */
function opaque(pixels) {
  const {data, channels} = pixels, colours = channels - 1;
  if (channels % 2) return pixels;
  const result = new Uint8Array((data.length / channels) * colours);
  for (let from = 0, to = 0; from < data.length; from += channels) {
    const alpha = data[from + colours];
    for (let c = 0; c < colours; c += 1, to += 1) result[to] = (data[from + c] * alpha + 255 * (255 - alpha)) / 255;
  }
  return {...pixels, data: result, channels: colours};
}

/** Grey as RGB. @param {Pixels} pixels 8 bit @returns {Pixels} */
function coloured(pixels) {
  const {data, channels} = pixels;
  if (channels > 2) return pixels;
  const result = new Uint8Array((data.length / channels) * (channels + 2));
  for (let from = 0, to = 0; from < data.length; from += channels, to += channels + 2) {
    result.fill(data[from], to, to + 3);
    if (channels === 2) result[to + 3] = data[from + 1];
  }
  return {...pixels, data: result, channels: channels + 2};
}
