// A file as a picture: all of it, or one sentence why not. What only a browser does is in `canvas.js`; PNG works in Node as well.

import {decoded} from './canvas.js';
import {pngChunks} from './containers.js';
import {DamagedError, PictureError} from './errors.js';
import {MAX_PIXELS, MOST_BYTES, START, isFormat, kindOf} from './formats.js';
import * as jpeg from './jpeg.js';
import {checkScans} from './jpeg_scans.js';
import {described, ofPng} from './metadata.js';
import {pixelsOf, structureOf as structureOfPng} from './png_reading.js';
import {upright} from './upright.js';
import * as webp from './webp.js';
import {ERRORS, NOTES} from './words.js';

/** @typedef {import('./formats.js').Format} Format */
/** @typedef {import('./metadata.js').Metadata} Metadata */
/** @typedef {import('./tags.js').Density} Density */
/** @typedef {import('./upright.js').Pixels} Pixels */
/** @typedef {{format: 'JPEG' | 'WebP', quality: number | null}} Compression how much was lost, where the file says that something was */
/** @typedef {{pixels: Pixels, format: Format, metadata: Metadata, compression: Compression | null, notes: string[]}} Picture pixels upright, alpha not multiplied */

/** @param {Blob} blob @param {string} name what messages call it @returns {Promise<Picture>} @throws {PictureError} */
export async function read(blob, name) {
  const file = await content(blob, name);
  const kind = kindOf(file);
  if (kind === null || !isFormat(kind)) throw new PictureError(kind === null ? ERRORS.noPicture(name) : kind === 'HEIC' ? ERRORS.heic(name) : ERRORS.otherFormat(name, kind));
  const size = {width: 0, height: 0};
  /** @type {string[]} */
  const notes = [];
  const check = (/** @type {number} */ width, /** @type {number} */ height) => {
    Object.assign(size, {width, height});
    checkSize(name, width, height);
  };
  try {
    const {pixels, carried, compression} = await {png: readPng, jpg: readJpeg, webp: readWebp}[kind](file, name, check, notes);
    const {orientation, metadata} = described(carried, notes);
    const turned = upright(pixels, orientation);
    return {pixels: turned, format: kind, metadata: {...ownBytes(metadata), format: kind, size: {width: turned.width, height: turned.height}}, compression, notes};
  } catch (error) {
    if (error instanceof DamagedError) throw new PictureError(error.truncated ? ERRORS.truncated(name) : ERRORS.damaged(name), {cause: error});
    if (error instanceof RangeError) throw new PictureError(ERRORS.memory(name, size.width, size.height), {cause: error});
    throw error;
  }
}

/** Bytes of their own, where they were a view of the whole file, which a message to the page would take along. @param {Metadata} metadata */
function ownBytes(metadata) {
  const own = Object.entries(metadata).map(([key, value]) => [key, value instanceof Uint8Array ? value.slice() : value]);
  return {...Object.fromEntries(own), ...(metadata.chunks ? {chunks: metadata.chunks.map(([kind, data]) => [kind, data.slice()])} : {})};
}

/** @param {Blob} blob @param {string} name @returns {Promise<Uint8Array>} */
async function content(blob, name) {
  if (!blob.size) throw new PictureError(ERRORS.empty(name));
  try {
    const start = new Uint8Array(await blob.slice(0, START).arrayBuffer());
    if (kindOf(start) === null) return start;
    if (blob.size > MOST_BYTES) throw new PictureError(ERRORS.longFile(name));
    return new Uint8Array(await blob.arrayBuffer());
  } catch (cause) {
    throw cause instanceof PictureError ? cause : new PictureError(ERRORS.unreadable(name), {cause});
  }
}

/** @param {string} name @param {number} width @param {number} height @throws {DamagedError} it has none @throws {PictureError} too many */
function checkSize(name, width, height) {
  if (width < 1 || height < 1) throw new DamagedError();
  if (width * height > MAX_PIXELS) throw new PictureError(ERRORS.tooLarge(name, width, height, counted(width * height), counted(MAX_PIXELS)));
}

/** @param {number} pixels */
function counted(pixels) {
  return `${Math.round(pixels / 1e6).toLocaleString('en')} megapixels`;
}

/** @typedef {(width: number, height: number) => void} Check throws what is too large, before anything is unpacked */
/** @typedef {{pixels: Pixels, carried: Metadata & {density?: Density}, compression: Compression | null}} Decoded as it lies in the file */

/** @param {Uint8Array} file @param {string} name @param {Check} check @param {string[]} notes @returns {Promise<Decoded>} */
async function readPng(file, name, check, notes) {
  const png = structureOfPng(pngChunks(file), check);
  if (png.frames > 1) throw new PictureError(ERRORS.frames(name, png.frames));
  const carried = await ofPng(png.before, png.after, [0, 4].includes(png.header.colour), notes);
  return {pixels: await pixelsOf(png), carried, compression: null};
}

/** @param {Uint8Array} file @param {string} name @param {Check} check @param {string[]} notes @returns {Promise<Decoded>} */
async function readJpeg(file, name, check, notes) {
  const {width, height, components, kind, complete, allButEnd} = jpeg.structureOf(file);
  if (components) check(width, height);
  if (!complete && !allButEnd) throw new DamagedError({truncated: true});
  if (kind) throw new PictureError(ERRORS.ofKind(name, kind));
  if (components === 4) throw new PictureError(ERRORS.cmyk(name));
  if (components !== 1 && components !== 3) throw new DamagedError();
  if (!complete) notes.push(NOTES.endMissing);
  const carried = jpeg.carried(file, notes);
  const whole = complete ? file : jpeg.withEnd(file);
  checkScans(whole);
  const {pixels} = await decoded(jpeg.bare(whole), 'image/jpeg', {width, height, channels: components});
  return {pixels, carried, compression: {format: 'JPEG', quality: jpeg.qualityOf(file)}};
}

/** @param {Uint8Array} file @param {string} name @param {Check} check @param {string[]} notes @returns {Promise<Decoded>} */
async function readWebp(file, name, check, notes) {
  const structure = webp.structureOf(file), {width, height, alpha, frames, lossless} = structure;
  check(width, height);
  if (frames > 1) throw new PictureError(ERRORS.frames(name, frames));
  const carried = webp.carried(file, structure);
  const {pixels, exact} = await decoded(webp.bare(file), 'image/webp', {width, height, channels: alpha ? 4 : 3});
  if (!exact) notes.push(NOTES.premultiplied);
  return {pixels, carried, compression: lossless ? null : {format: 'WebP', quality: null}};
}
