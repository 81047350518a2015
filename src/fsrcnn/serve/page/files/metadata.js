// What a file carries beside its pixels, made fit for the format that is written, as src/fsrcnn/images/metadata.py does it.

import {bytesOf, joined, latin1, viewOf} from './bytes.js';
import {fittingProfile, hdrOf, isPlain, profileOfCodePoints, profileOfGamma, spaceOf} from './colour.js';
import {DamagedError, PictureError} from './errors.js';
import {deflatedWhole, inflatedWhole} from './streams.js';
import * as tags from './tags.js';
import {ERRORS, NOTES} from './words.js';
import * as xmp from './xmp.js';

/** @typedef {import('./colour.js').CodePoints} CodePoints */
/** @typedef {import('./containers.js').Chunk} Chunk */
/** @typedef {import('./formats.js').Format} Format */
/** @typedef {import('./tags.js').Density} Density */
/** @typedef {import('./tags.js').Resolution} Resolution */

/**
 * @typedef {object} Metadata
 * @property {Format} [format] of the file that it comes from
 * @property {Uint8Array} [icc]
 * @property {Uint8Array} [exif] without its `Exif\0\0`
 * @property {Uint8Array} [xmp]
 * @property {Uint8Array} [iptc] IIM records
 * @property {Uint8Array} [comment] of a JPEG
 * @property {CodePoints} [codePoints] of cICP
 * @property {[string, Uint8Array][]} [chunks] of a PNG: gAMA, cHRM, sRGB, mDCV, cLLI, and texts, in their order
 * @property {boolean} [lossless] of a WebP
 * @property {Resolution} [resolution]
 * @property {{width: number, height: number}} [size] upright, for which the resolution is
 */

/** @typedef {{metadata: Metadata, resolution: Resolution | null, chunks: [string, Uint8Array][], notes: string[]}} Fitted chunks: of a PNG, beside what `metadata` says */

const LIGHT = ['mDCV', 'cLLI'], COLOUR = ['gAMA', 'cHRM', 'sRGB', ...LIGHT], TEXT = ['tEXt', 'zTXt', 'iTXt'];
const XMP_TEXT = 'XML:com.adobe.xmp';
const NAMES = {icc: 'ICC profile', exif: 'EXIF', xmp: 'XMP', comment: 'comment', iptc: 'IPTC'};
/** @type {Record<Format, (keyof typeof NAMES)[]>} */
const HELD = {png: ['icc', 'exif', 'xmp', 'comment'], jpg: ['icc', 'exif', 'xmp', 'iptc', 'comment'], webp: ['icc', 'exif', 'xmp']};
const LARGEST_EXIF = 65_533 - 2_000, LARGEST_XMP = 65_533 - 29; // in a JPEG, as the command line has it

/**
 * What a PNG carries.
 * @param {readonly Chunk[]} before chunks before the pixels @param {readonly Chunk[]} after
 * @param {boolean} grey as it lies in the file @param {string[]} notes @returns {Promise<Metadata & {density?: Density}>}
 */
export async function ofPng(before, after, grey, notes) {
  /** @type {Metadata & {density?: Density}} */
  const metadata = {};
  /** @type {[string, Uint8Array][]} */
  const chunks = [];
  for (const chunk of [...before, ...after]) {
    const {kind, data, intact} = chunk;
    const early = before.includes(chunk);
    const known = [...COLOUR, ...TEXT, 'cICP', 'iCCP', 'pHYs', 'eXIf'].includes(kind);
    if (!known) continue;
    try {
      if (!intact) throw new DamagedError();
      if (TEXT.includes(kind)) {
        if (latin1(data, 0, XMP_TEXT.length + 1) === `${XMP_TEXT}\0`) metadata.xmp ??= await textOf(kind, data);
        else chunks.push([kind, data]);
      } else if (kind === 'eXIf') {
        metadata.exif ??= latin1(data, 0, 6) === 'Exif\0\0' ? data.subarray(6) : data;
      } else if (!early) {
        notes.push(NOTES.afterPixels(kind));
      } else if (kind === 'cICP' && data.length === 4) metadata.codePoints = {primaries: data[0], transfer: data[1], full: data[3] !== 0};
      else if (kind === 'iCCP') metadata.icc ??= profileOf(await inflatedWhole(data.subarray(data.indexOf(0) + 2)), grey);
      else if (kind === 'pHYs' && data.length === 9) metadata.density ??= ofPhys(data);
      else if (COLOUR.includes(kind)) chunks.push([kind, data]);
    } catch (error) {
      if (!(error instanceof DamagedError)) throw error;
      const note = kind === 'iCCP' ? NOTES.profile(grey) : NOTES.damagedPart;
      if (!notes.includes(note)) notes.push(note);
    }
  }
  if (chunks.length) metadata.chunks = chunks;
  return metadata;
}

/** A profile of the colours that it lies beside, which in a PNG it must be. @param {Uint8Array} icc @param {boolean} grey @throws {DamagedError} */
function profileOf(icc, grey) {
  if (spaceOf(icc) !== (grey ? 'GRAY' : 'RGB ')) throw new DamagedError();
  return icc;
}

/** What a text chunk says, after its keyword. @param {string} kind @param {Uint8Array} data @returns {Promise<Uint8Array>} */
async function textOf(kind, data) {
  const after = (/** @type {number} */ at) => data.indexOf(0, at) + 1 || data.length;
  const start = after(0);
  if (kind === 'tEXt') return data.subarray(start);
  if (kind === 'zTXt') return inflatedWhole(data.subarray(start + 1));
  const text = data.subarray(after(after(start + 2)));
  return data[start] ? inflatedWhole(text) : text;
}

/** @param {Uint8Array} data @returns {Density | undefined} */
function ofPhys(data) {
  const x = viewOf(data).getUint32(0), y = viewOf(data).getUint32(4);
  return x && y ? {x, y, unit: data[8] === 1 ? 'm' : ''} : undefined;
}

/**
 * How the picture lies; and its resolution: EXIF's where it says one, else its format's. Where EXIF is damaged, it is let go.
 * @param {Metadata & {density?: Density}} carried `density`: by its format @param {string[]} notes @returns {{orientation: number, metadata: Metadata}}
 */
export function described({density, ...metadata}, notes) {
  let orientation = 1;
  /** @type {(Density | null | undefined)[]} */
  const told = [density];
  try {
    if (metadata.exif) {
      const said = tags.described(metadata.exif);
      orientation = said.orientation;
      told.unshift(said.density);
    }
  } catch (error) {
    if (!(error instanceof DamagedError)) throw error;
    delete metadata.exif;
    notes.push(NOTES.damaged(NAMES.exif));
  }
  const best = told.find((one) => one?.unit) ?? told.find(Boolean);
  const resolution = best && resolutionOf(best);
  if (resolution) metadata.resolution = resolution;
  else if (best && best.x !== best.y) notes.push(NOTES.shape(best.y / best.x));
  return {orientation, metadata};
}

/** @param {Density} density @returns {Resolution | null} null where it says the shape of pixels alone */
function resolutionOf({x, y, unit}) {
  if (!unit) return null;
  const perMillimetre = {in: 25.4, cm: 10, m: 1000}[unit];
  return {x: x / perMillimetre, y: y / perMillimetre, unit: unit === 'cm' ? 'cm' : 'in'};
}

/** @param {Metadata} metadata @param {Format} format @param {boolean} grey @throws {PictureError} without its metadata the picture would look wrong */
export function checkColours({codePoints, icc}, format, grey) {
  const curve = codePoints && hdrOf(codePoints);
  if (curve && format !== 'png' && !(icc && fittingProfile(icc, grey))) throw new PictureError(ERRORS.hdr(curve, format));
}

/**
 * Metadata as a format holds them, of an upright picture of this size, that `checkColours` has let pass.
 * @param {Metadata} given @param {Format} format @param {{grey: boolean, width: number, height: number}} picture grey: in that format
 * @returns {Fitted}
 */
export function fitted(given, format, {grey, width, height}) {
  /** @type {string[]} */
  const notes = [];
  const metadata = {...given};
  const resolution = grown(given, width, height);
  const colour = colourIn(given, metadata, format, grey, notes);
  replace(metadata, 'exif', (block) => tags.resized(block, width, height, resolution), notes);
  replace(metadata, 'xmp', (packet) => xmp.resized(packet, width, height), notes);
  for (const key of /** @type {(keyof typeof NAMES)[]} */ (Object.keys(NAMES))) {
    if (!metadata[key] || HELD[format].includes(key)) continue;
    delete metadata[key];
    notes.push(NOTES.notHeld(NAMES[key], format));
  }
  const own = given.chunks ?? [];
  const texts = own.filter(([kind]) => TEXT.includes(kind));
  const chunks = [...colour];
  if (format === 'png') {
    if (metadata.comment) chunks.push(commentChunk(metadata.comment));
    chunks.push(...texts);
  } else {
    if (own.some(([kind]) => LIGHT.includes(kind))) notes.push(NOTES.light);
    if (texts.length) notes.push(NOTES.texts(listed(texts.map(([, data]) => latin1(data, 0, data.indexOf(0))))));
  }
  if (format === 'jpg') fitIntoJpeg(metadata, notes);
  if (format === 'webp' && !metadata.exif && resolution) metadata.exif = tags.blockOf(resolution); // it has no other place for it
  return {metadata, resolution, chunks, notes};
}

/** The resolution grows with the picture. @param {Metadata} metadata @param {number} width @param {number} height @returns {Resolution | null} */
function grown({resolution, size}, width, height) {
  if (!resolution) return null;
  return size ? {...resolution, x: (resolution.x * width) / size.width, y: (resolution.y * height) / size.height} : resolution;
}

/**
 * Settles by what the format tells colours: the profile in `metadata`, and the chunks of a PNG that are returned.
 * @param {Metadata} given @param {Metadata} metadata changed @param {Format} format @param {boolean} grey @param {string[]} notes
 * @returns {[string, Uint8Array][]}
 */
function colourIn({icc, codePoints: points, chunks = []}, metadata, format, grey, notes) {
  delete metadata.icc;
  const profile = icc && fittingProfile(icc, grey);
  if (profile) metadata.icc = profile;
  else if (icc) notes.push(NOTES.profile(grey));
  const told = new Map(chunks.filter(([kind]) => COLOUR.includes(kind)));
  if (format === 'png') {
    /** @type {[string, Uint8Array][]} */
    const named = points ? [['cICP', Uint8Array.of(points.primaries, points.transfer, 0, points.full ? 1 : 0)]] : [];
    return [...named, ...[...told].filter(([kind]) => !metadata.icc || LIGHT.includes(kind))];
  }
  if (metadata.icc) return [];
  if (points && !isPlain(points)) {
    const made = profileOfCodePoints(points, grey);
    if (made) metadata.icc = made;
    else notes.push(NOTES.codePoints(points.primaries, points.transfer, format));
  } else if (!points && !told.has('sRGB')) {
    try {
      metadata.icc = profileOfGamma(told.get('gAMA'), told.get('cHRM'), grey) ?? undefined;
    } catch (error) {
      if (!(error instanceof DamagedError)) throw error;
      notes.push(NOTES.gamma);
    }
  }
  return [];
}

/** @param {Metadata} metadata changed @param {'exif' | 'xmp'} key @param {(bytes: Uint8Array) => Uint8Array} change @param {string[]} notes */
function replace(metadata, key, change, notes) {
  const bytes = metadata[key];
  if (!bytes) return;
  try {
    metadata[key] = change(bytes);
  } catch (error) {
    if (!(error instanceof DamagedError)) throw error;
    delete metadata[key];
    notes.push(NOTES.damaged(NAMES[key]));
  }
}

/** A JPEG's segment ends at 65,533 bytes: what does not fit is made smaller, else left out. @param {Metadata} metadata changed @param {string[]} notes */
function fitIntoJpeg(metadata, notes) {
  if (metadata.exif && metadata.exif.length + 6 > LARGEST_EXIF) {
    metadata.exif = tags.withoutMakerNote(metadata.exif);
    if (metadata.exif.length + 6 <= LARGEST_EXIF) notes.push(NOTES.makerNote);
    else {
      delete metadata.exif;
      notes.push(NOTES.largeInJpeg(NAMES.exif));
    }
  }
  if (metadata.xmp && metadata.xmp.length > LARGEST_XMP) {
    metadata.xmp = xmp.withoutPadding(metadata.xmp);
    if (metadata.xmp.length > LARGEST_XMP) {
      delete metadata.xmp;
      notes.push(NOTES.largeInJpeg(NAMES.xmp));
    }
  }
}

/** A comment as a PNG has it: UTF-8 where it is that, else Latin-1. @param {Uint8Array} comment @returns {[string, Uint8Array]} */
function commentChunk(comment) {
  try {
    new TextDecoder('utf-8', {fatal: true}).decode(comment);
    return ['iTXt', joined([bytesOf('Comment\0\0\0\0\0'), comment])];
  } catch {
    return ['tEXt', joined([bytesOf('Comment\0'), comment.map((byte) => byte || 0x20)])];
  }
}

/** The chunks of a PNG that say what metadata say. @param {Fitted} fitted @returns {Promise<[string, Uint8Array][]>} */
export async function pngChunksOf({metadata, resolution, chunks}) {
  /** @type {[string, Uint8Array][]} */
  const all = [...chunks];
  if (metadata.icc) all.push(['iCCP', joined([bytesOf('icc\0\0'), await deflatedWhole(metadata.icc)])]);
  if (resolution) {
    const data = new Uint8Array(9), view = viewOf(data);
    view.setUint32(0, Math.min(0x7fffffff, Math.round(resolution.x * 1000)));
    view.setUint32(4, Math.min(0x7fffffff, Math.round(resolution.y * 1000)));
    data[8] = 1;
    all.push(['pHYs', data]);
  }
  if (metadata.exif) all.push(['eXIf', metadata.exif]);
  if (metadata.xmp) all.push(['iTXt', joined([bytesOf(`${XMP_TEXT}\0\0\0\0\0`), xmp.inUtf8(metadata.xmp)])]);
  return all;
}

/** Names for a note: the first five, each cut and without control characters. @param {readonly string[]} names */
function listed(names) {
  const plain = [...new Set(names.map((name) => name.slice(0, 40).replace(/[^\x20-\x7e\xa1-\xff]/g, '?')))];
  return plain.slice(0, 5).join(', ') + (plain.length > 5 ? ` and ${plain.length - 5} more` : '');
}
