// What lies in PNG, JPEG and WebP files: chunks and segments, walked and made without decoding anything.

import {bytesOf, joined, latin1, viewOf} from './bytes.js';
import {directoryOf, formOf} from './tags.js';

/** @typedef {{kind: string, data: Uint8Array, intact: boolean, end: number}} Chunk its name and data; whether they are all there and its checksum is right; where the next begins */
/** @typedef {{marker: number, at: number, data: Uint8Array}} Segment `at`: where the data begin in the file */

export const PNG_SIGNATURE = bytesOf('\x89PNG\r\n\x1a\n');
const GAIN_MAPS = ['urn:iso:std:iso:ts:21496:-1', 'http://ns.adobe.com/hdr-gain-map/', 'urn:com:apple:photo:2020:aux:hdrgainmap'];

const CRC_TABLE = Uint32Array.from({length: 256}, (_, n) => {
  for (let bit = 0; bit < 8; bit += 1) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

/** PNG's checksum of bytes after each other. @param {...Uint8Array} parts */
export function crcOf(...parts) {
  let crc = 0xffffffff;
  for (const part of parts) for (let at = 0; at < part.length; at += 1) crc = CRC_TABLE[(crc ^ part[at]) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** A PNG's chunks as far as they begin in the file. @param {Uint8Array} file @returns {Generator<Chunk>} */
export function* pngChunks(file) {
  const view = viewOf(file);
  for (let at = 8, kind = ''; kind !== 'IEND' && at + 8 <= file.length; ) {
    const length = view.getUint32(at);
    kind = latin1(file, at + 4, at + 8);
    const end = at + 12 + length;
    const data = file.subarray(at + 8, at + 8 + length);
    yield {kind, data, intact: end <= file.length && crcOf(file.subarray(at + 4, end - 4)) === view.getUint32(end - 4), end};
    at = end;
  }
}

/** The parts of a chunk, without a copy of its data. @param {string} kind @param {Uint8Array} data */
export function pngChunk(kind, data) {
  const head = new Uint8Array(8), tail = new Uint8Array(4);
  viewOf(head).setUint32(0, data.length);
  head.set(bytesOf(kind), 4);
  viewOf(tail).setUint32(0, crcOf(head.subarray(4), data));
  return [head, data, tail];
}

/** A JPEG's segments before its first scan. @param {Uint8Array} file @returns {Generator<Segment>} */
export function* jpegSegments(file) {
  for (let at = 2; at + 4 <= file.length && file[at] === 0xff && file[at + 1] !== 0xd9 && file[at + 1] !== 0xda; ) {
    if (file[at + 1] === 0xff || file[at + 1] === 0x01) {
      at += 1; // fill bytes
      continue;
    }
    const length = (file[at + 2] << 8) | file[at + 3];
    yield {marker: file[at + 1], at: at + 4, data: file.subarray(at + 4, at + 2 + Math.max(2, length))};
    at += 2 + length;
  }
}

/** A segment of at most 65,533 bytes of data. @param {number} marker @param {...Uint8Array} parts */
export function jpegSegment(marker, ...parts) {
  const length = parts.reduce((sum, part) => sum + part.length, 2);
  return joined([Uint8Array.of(0xff, marker, length >> 8, length & 0xff), ...parts]);
}

/**
 * What a JPEG's multi-picture index (CIPA DC-007) points to beside the picture itself: `gain map`, `thumbnail`, `picture`.
 * @param {Uint8Array} file @param {number} start where the index lies, which its offsets count from @param {Uint8Array} index
 */
export function furtherPictures(file, start, index) {
  const entries = directoryOf(index, formOf(index)).get(0xb002);
  const kinds = [];
  for (let at = 16; entries && at + 16 <= entries.data.length; at += 16) {
    const view = viewOf(entries.data);
    const place = start + view.getUint32(at + 8, entries.little);
    const head = latin1(file, place, place + 2 ** 16);
    const thumbnail = [0x010001, 0x010002].includes(view.getUint32(at, entries.little) & 0xffffff);
    kinds.push(GAIN_MAPS.some((mark) => head.includes(mark)) ? 'gain map' : thumbnail ? 'thumbnail' : 'picture');
  }
  return kinds;
}

/** IPTC data (IIM) as a JPEG holds them: a Photoshop resource, number 0x0404. @param {Uint8Array} iptc */
export function resource(iptc) {
  const size = new Uint8Array(4);
  viewOf(size).setUint32(0, iptc.length);
  return joined([bytesOf('Photoshop 3.0\x008BIM\x04\x04\0\0'), size, iptc, new Uint8Array(iptc.length % 2)]);
}

/** The IPTC data among Photoshop's resources; the others belong to the old pixels. @param {Uint8Array} data */
export function iptcOfResources(data) {
  for (let at = 0; latin1(data, at, at + 4) === '8BIM' && at + 12 <= data.length; ) {
    const name = 1 + data[at + 6];
    const start = at + 6 + name + (name % 2);
    if (start + 4 > data.length) break;
    const size = viewOf(data).getUint32(start);
    if (data[at + 4] === 4 && data[at + 5] === 4) return data.subarray(start + 4, start + 4 + size);
    at = start + 4 + size + (size % 2);
  }
  return new Uint8Array();
}

/** A WebP's chunks, as far as they begin in the file. @param {Uint8Array} file @returns {Generator<Chunk>} */
export function* webpChunks(file) {
  for (let at = 12; at + 8 <= file.length; ) {
    const length = viewOf(file).getUint32(at + 4, true);
    const end = at + 8 + length;
    yield {kind: latin1(file, at, at + 4), data: file.subarray(at + 8, end), intact: end <= file.length, end};
    at = end + (length % 2);
  }
}

/** The parts of a chunk, without a copy of its data. @param {string} kind @param {Uint8Array} data */
export function webpChunk(kind, data) {
  const head = new Uint8Array(8);
  head.set(bytesOf(kind));
  viewOf(head).setUint32(4, data.length, true);
  return [head, data, new Uint8Array(data.length % 2)];
}

/** A WebP file of chunks. @param {readonly Uint8Array[]} parts */
export function webpFile(parts) {
  const head = bytesOf('RIFF\0\0\0\0WEBP');
  viewOf(head).setUint32(4, parts.reduce((sum, part) => sum + part.length, 4), true);
  return [head, ...parts];
}

