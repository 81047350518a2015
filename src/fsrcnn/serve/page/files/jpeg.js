// JPEG files (ITU-T T.81): what they say of themselves, what they carry, and new ones around what a browser encodes.

import {bytesOf, joined, startsWith, trimmed, viewOf} from './bytes.js';
import {furtherPictures, iptcOfResources, jpegSegment, jpegSegments, resource} from './containers.js';
import {LUMINANCE, scaled} from './jpeg_writing.js';
import {NOTES} from './words.js';
import {withoutAttachments} from './xmp.js';

/** @typedef {import('./metadata.js').Metadata} Metadata */
/** @typedef {import('./tags.js').Density} Density */
/** @typedef {import('./tags.js').Resolution} Resolution */
/** @typedef {{width: number, height: number, components: number, kind: string, complete: boolean, allButEnd: boolean}} Structure kind: where libraries differ in what they decode */

const EXIF = 'Exif\0\0', XMP = 'http://ns.adobe.com/xap/1.0/\0', FURTHER_XMP = 'http://ns.adobe.com/xmp/extension/\0';
const PROFILE = 'ICC_PROFILE\0', PHOTOSHOP = 'Photoshop 3.0\0', GAIN_MAP = 'urn:iso:std:iso:ts:21496:-1\0';
const MOST_OF_PROFILE = 65_519; // bytes in a segment

/** @param {number} marker */
function isFrame(marker) {
  return marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
}

/** What a file says of itself, to its end. @param {Uint8Array} file @returns {Structure} */
export function structureOf(file) {
  const structure = {width: 0, height: 0, components: 0, kind: '', complete: false, allButEnd: false};
  let progressive = false, at = 2;
  /** Of each component seen in a scan: coefficients of which bits are still to come. @type {Map<number, Set<number>>} */
  const missing = new Map();
  while ((at = nextMarker(file, at)) >= 0) {
    const marker = file[at];
    at += 1;
    if (marker === 0xd9) {
      structure.complete = true;
      break;
    }
    const length = (file[at] << 8) | file[at + 1];
    const segment = file.subarray(at + 2, at + length);
    at += length;
    if (!(at <= file.length)) break;
    if (isFrame(marker) && segment.length >= 6) {
      structure.height = (segment[1] << 8) | segment[2];
      structure.width = (segment[3] << 8) | segment[4];
      structure.components = segment[5];
      progressive = (marker & 3) === 2;
      structure.kind = [12, 16].includes(segment[0]) ? `${segment[0]}-bit` : (marker & 3) === 3 ? 'lossless' : marker > 0xc8 ? 'arithmetic' : '';
    } else if (marker === 0xda && segment.length >= 4 + 2 * segment[0]) {
      const [first, last, bits] = segment.subarray(-3);
      for (let i = 1; i < 1 + 2 * segment[0]; i += 2) {
        const left = missing.get(segment[i]) ?? new Set(Array(64).keys());
        missing.set(segment[i], left);
        if (!progressive) left.clear();
        else if ((bits & 15) === 0) for (let place = first; place <= last; place += 1) left.delete(place);
      }
    }
  }
  const allScans = structure.components > 0 && structure.components === missing.size && [...missing.values()].every((left) => !left.size);
  // Arithmetic decoding reads zeros beyond the end and says nothing, so its last scan may be a part.
  structure.allButEnd = !structure.complete && allScans && !structure.kind;
  return structure;
}

/** Where the code of the next marker is that ends coded data: neither a stuffed 0xff nor a restart; -1: none. @param {Uint8Array} file @param {number} at */
function nextMarker(file, at) {
  while ((at = file.indexOf(0xff, at)) >= 0) {
    while (file[at] === 0xff) at += 1;
    const code = file[at];
    if (code && (code < 0xd0 || code > 0xd7)) return at;
  }
  return -1;
}

/** With the mark of its end. @param {Uint8Array} file */
export function withEnd(file) {
  return joined([file[file.length - 1] === 0xff ? file.subarray(0, -1) : file, Uint8Array.of(0xff, 0xd9)]);
}

/**
 * The quality at which libjpeg's luminance table is nearest to that of the file's first component; null where there is no table.
 * @param {Uint8Array} file
 */
export function qualityOf(file) {
  /** @type {Map<number, number>} */
  const sums = new Map();
  let chosen = -1;
  for (const {marker, data} of jpegSegments(file)) {
    if (marker === 0xdb) {
      for (let at = 0; at < data.length; ) {
        const size = data[at] >> 4 ? 2 : 1, end = at + 1 + 64 * size;
        if (end > data.length) break;
        let sum = 0;
        for (let i = at + 1; i < end; i += size) sum += size === 2 ? (data[i] << 8) | data[i + 1] : data[i];
        sums.set(data[at] & 15, sum);
        at = end;
      }
    } else if (isFrame(marker) && data.length >= 9) chosen = data[8];
  }
  const sum = sums.get(chosen);
  if (sum === undefined) return null;
  let [best, least] = [1, Infinity];
  for (let quality = 1; quality <= 100; quality += 1) {
    const off = Math.abs(scaled(LUMINANCE, quality).reduce((total, value) => total + value) - sum);
    if (off < least) [best, least] = [quality, off];
  }
  return best;
}

/** What a file carries beside its pixels. @param {Uint8Array} file @param {string[]} notes @returns {Metadata & {density?: Density}} */
export function carried(file, notes) {
  /** @type {Metadata & {density?: Density}} */
  const metadata = {};
  /** @type {Map<number, Uint8Array>} */
  const profile = new Map();
  const comments = [], resources = [];
  let parts = 0, gainMap = false, video = false, further = 0;
  for (const {marker, at, data} of jpegSegments(file)) {
    const named = (/** @type {string} */ name) => startsWith(data, name);
    const rest = (/** @type {string} */ name) => data.subarray(name.length);
    if (marker === 0xe0 && named('JFIF\0') && data.length >= 12) metadata.density ??= ofJfif(data);
    else if (marker === 0xe1 && named(EXIF)) metadata.exif ??= rest(EXIF);
    else if (marker === 0xe1 && named(XMP)) metadata.xmp ??= rest(XMP);
    else if (marker === 0xe1 && named(FURTHER_XMP) && !notes.includes(NOTES.extension)) notes.push(NOTES.extension);
    else if (marker === 0xe2 && named(PROFILE) && data.length >= 14) {
      profile.set(data[12], data.subarray(14));
      parts = data[13];
    } else if (marker === 0xe2 && named(GAIN_MAP)) gainMap = true;
    else if (marker === 0xe2 && named('MPF\0')) {
      const kinds = furtherPictures(file, at + 4, rest('MPF\0'));
      gainMap ||= kinds.includes('gain map');
      further = kinds.filter((kind) => kind === 'picture').length;
    } else if (marker === 0xed && named(PHOTOSHOP)) resources.push(rest(PHOTOSHOP));
    else if (marker === 0xfe) comments.push(trimmed(data), bytesOf('\n'));
  }
  const ordered = Array.from({length: parts}, (_, i) => profile.get(i + 1));
  if (parts && ordered.every(Boolean)) metadata.icc = joined(/** @type {Uint8Array[]} */ (ordered));
  else if (profile.size) notes.push(NOTES.damaged('ICC profile'));
  if (comments.length) metadata.comment = joined(comments.slice(0, -1));
  const iptc = iptcOfResources(joined(resources));
  if (iptc.length) metadata.iptc = iptc;
  if (metadata.xmp) {
    const {xmp, attached} = withoutAttachments(metadata.xmp);
    metadata.xmp = xmp;
    gainMap ||= attached.includes('gain map');
    video = attached.includes('video');
  }
  if (gainMap) notes.push(NOTES.gainMap);
  if (video) notes.push(NOTES.video);
  if (further) notes.push(NOTES.further(further));
  return metadata;
}

/** @param {Uint8Array} data of a JFIF header @returns {Density | undefined} */
function ofJfif(data) {
  const view = viewOf(data), unit = data[7], x = view.getUint16(8), y = view.getUint16(10);
  if (unit > 2 || !x || !y || (x === 1 && y === 1)) return undefined;
  return {x, y, unit: unit === 1 ? 'in' : unit === 2 ? 'cm' : ''};
}

/** Segments of metadata that fit a JPEG. @param {Metadata} metadata @param {Resolution | null} resolution @returns {Uint8Array[]} */
export function segmentsOf({icc, exif, xmp, iptc, comment}, resolution) {
  const head = bytesOf('JFIF\0\x01\x01\0\0\x01\0\x01\0\0'), view = viewOf(head); // square pixels
  if (resolution) {
    const perUnit = resolution.unit === 'cm' ? 10 : 25.4;
    head[7] = resolution.unit === 'cm' ? 2 : 1;
    view.setUint16(8, Math.min(65_535, Math.round(resolution.x * perUnit)));
    view.setUint16(10, Math.min(65_535, Math.round(resolution.y * perUnit)));
  }
  const segments = [jpegSegment(0xe0, head)];
  if (exif) segments.push(jpegSegment(0xe1, bytesOf(EXIF), exif));
  if (xmp) segments.push(jpegSegment(0xe1, bytesOf(XMP), xmp));
  const count = Math.ceil((icc?.length ?? 0) / MOST_OF_PROFILE);
  for (let part = 0; icc && part < count; part += 1) {
    segments.push(jpegSegment(0xe2, bytesOf(PROFILE), Uint8Array.of(part + 1, count), icc.subarray(part * MOST_OF_PROFILE, (part + 1) * MOST_OF_PROFILE)));
  }
  if (iptc) segments.push(jpegSegment(0xed, resource(iptc)));
  for (let start = 0; comment && start < comment.length; start += 65_533) segments.push(jpegSegment(0xfe, comment.subarray(start, start + 65_533)));
  return segments;
}

/** A file that a browser turns and converts nothing of: with no segment but those that its coded data need. @param {Uint8Array} file */
export function bare(file) {
  const segments = [];
  let end = 2;
  for (const {marker, at, data} of jpegSegments(file)) {
    end = at + data.length;
    if (marker < 0xe0 || (marker > 0xef && marker !== 0xfe) || marker === 0xee) segments.push(file.subarray(at - 4, end)); // 0xee: which colours (Adobe)
  }
  return [file.subarray(0, 2), ...segments, file.subarray(end)];
}
