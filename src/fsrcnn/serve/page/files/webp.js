// WebP files (RIFF): what they say of themselves, what they carry, and new ones around what a browser encodes.

import {latin1, startsWith, viewOf} from './bytes.js';
import {webpChunk, webpChunks, webpFile} from './containers.js';
import {DamagedError} from './errors.js';

/** @typedef {import('./metadata.js').Metadata} Metadata */
/** @typedef {{width: number, height: number, alpha: boolean, frames: number, lossless: boolean}} Structure */

const WITH_PROFILE = 0x20, WITH_ALPHA = 0x10, WITH_EXIF = 0x08, WITH_XMP = 0x04; // of VP8X
const METADATA = ['ICCP', 'EXIF', 'XMP '];
const FRAME = 16; // bytes of a frame's own before its chunks

/** @param {Uint8Array} file @returns {Structure} @throws {DamagedError} */
export function structureOf(file) {
  if (viewOf(file).getUint32(4, true) + 8 > file.length) throw new DamagedError({truncated: true});
  const structure = {width: 0, height: 0, alpha: false, frames: 0, lossless: false};
  const kinds = [];
  let extended = false;
  for (const {kind, data, intact} of webpChunks(file)) {
    if (!intact && ['VP8X', 'VP8 ', 'VP8L', 'ALPH', 'ANMF'].includes(kind)) throw new DamagedError({truncated: true});
    if (kind === 'VP8X' && data.length >= 10) {
      extended = true;
      structure.width = 1 + (data[4] | (data[5] << 8) | (data[6] << 16));
      structure.height = 1 + (data[7] | (data[8] << 8) | (data[9] << 16));
      structure.alpha = (data[0] & WITH_ALPHA) !== 0;
    } else if (kind === 'ANMF') {
      structure.frames += 1;
      for (const part of webpChunks(file.subarray(data.byteOffset - file.byteOffset + FRAME - 12, data.byteOffset - file.byteOffset + data.length))) kinds.push(part.kind);
    } else if (kind === 'VP8 ' || kind === 'VP8L') {
      const picture = pictureOf(kind, data);
      if (!picture || (extended && (picture.width !== structure.width || picture.height !== structure.height))) throw new DamagedError();
      Object.assign(structure, {width: picture.width, height: picture.height, alpha: structure.alpha || picture.alpha});
      kinds.push(kind);
    }
  }
  const pictures = kinds.filter((kind) => kind === 'VP8 ' || kind === 'VP8L');
  if (!pictures.length) throw new DamagedError();
  structure.frames ||= 1;
  structure.lossless = pictures.every((kind) => kind === 'VP8L');
  return structure;
}

/** @param {string} kind @param {Uint8Array} data @returns {{width: number, height: number, alpha: boolean} | null} null where it is damaged */
function pictureOf(kind, data) {
  if (data.length < 10 && (kind === 'VP8 ' || data.length < 5)) return null;
  if (kind === 'VP8L') {
    const bits = viewOf(data).getUint32(1, true);
    return data[0] === 0x2f ? {width: 1 + (bits & 0x3fff), height: 1 + ((bits >> 14) & 0x3fff), alpha: ((bits >> 28) & 1) === 1} : null;
  }
  if (latin1(data, 3, 6) !== '\x9d\x01\x2a') return null;
  return {width: (data[6] | (data[7] << 8)) & 0x3fff, height: (data[8] | (data[9] << 8)) & 0x3fff, alpha: false};
}

/** What a file carries beside its pixels. @param {Uint8Array} file @param {Structure} structure @returns {Metadata} */
export function carried(file, structure) {
  /** @type {Metadata} */
  const metadata = structure.lossless ? {lossless: true} : {};
  for (const {kind, data, intact} of webpChunks(file)) {
    if (!intact) continue;
    if (kind === 'ICCP') metadata.icc ??= data;
    else if (kind === 'EXIF') metadata.exif ??= startsWith(data, 'Exif\0\0') ? data.subarray(6) : data;
    else if (kind === 'XMP ') metadata.xmp ??= data;
  }
  return metadata;
}

/** A file of the coded data of another alone, which a browser converts nothing of. @param {Uint8Array} file @returns {Uint8Array[]} */
export function bare(file) {
  return webpFile([...webpChunks(file)].filter(({kind}) => !METADATA.includes(kind)).flatMap(({kind, data}) => webpChunk(kind, kind === 'VP8X' ? withoutFlags(data) : data)));
}

/** @param {Uint8Array} header of the extended format */
function withoutFlags(header) {
  const plain = header.slice();
  plain[0] &= ~(WITH_PROFILE | WITH_EXIF | WITH_XMP);
  return plain;
}

/** The lossy colours of a file that a browser encoded. @param {Uint8Array} file @throws {DamagedError} there are none */
export function coloursOf(file) {
  const found = [...webpChunks(file)].find(({kind}) => kind === 'VP8 ');
  if (!found) throw new DamagedError();
  return found.data;
}

/**
 * A file.
 * @param {{width: number, height: number}} size @param {readonly [string, Uint8Array][]} pictures VP8L; or VP8 alone or after ALPH
 * @param {boolean} alpha whether there is any @param {Metadata} metadata fit for a WebP @returns {Uint8Array[]}
 */
export function fileOf({width, height}, pictures, alpha, {icc, exif, xmp}) {
  const parts = pictures.flatMap(([kind, data]) => webpChunk(kind, data));
  if (!icc && !exif && !xmp && pictures.length === 1) return webpFile(parts);
  const header = new Uint8Array(10), view = viewOf(header);
  header[0] = (icc ? WITH_PROFILE : 0) | (alpha ? WITH_ALPHA : 0) | (exif ? WITH_EXIF : 0) | (xmp ? WITH_XMP : 0);
  view.setUint16(4, width - 1, true);
  view.setUint16(7, height - 1, true);
  return webpFile([
    ...webpChunk('VP8X', header), ...(icc ? webpChunk('ICCP', icc) : []), ...parts, ...(exif ? webpChunk('EXIF', exif) : []),
    ...(xmp ? webpChunk('XMP ', xmp) : []),
  ]);
}
