// EXIF blocks (TIFF 6.0, section 2; Exif 2.32, section 4.6): read, edited in place, made. A block is without its `Exif\0\0` here.

import {joined, viewOf} from './bytes.js';
import {DamagedError} from './errors.js';

/** @typedef {{kind: number, data: Uint8Array, little: boolean}} Tag its kind (2 ASCII, 3 SHORT, 4 LONG, 5 RATIONAL, 7 UNDEFINED), its bytes and their order */
/** @typedef {Map<number, Tag>} Directory */
/** @typedef {{at: number, tag: number, kind: number, length: number, size: number, values: number}} Entry where it lies, and where its values */
/** @typedef {{little: boolean, first: number}} Form */
/** @typedef {{x: number, y: number, unit: '' | 'in' | 'cm' | 'm'}} Density pixels in a unit; without one, how their sides are to each other */
/** @typedef {{x: number, y: number, unit: 'in' | 'cm'}} Resolution pixels per millimetre, and the unit that the file says them in */

const EXIF = 34665, GPS = 34853, INTEROPERABILITY = 40965, MAKER_NOTE = 37500, ORIENTATION = 274;
const X_RESOLUTION = 282, Y_RESOLUTION = 283, RESOLUTION_UNIT = 296;
const THUMBNAIL = 513, THUMBNAIL_LENGTH = 514;
const WIDTHS = [256, 40962], HEIGHTS = [257, 40963];
const LENGTHS = new Map([[1, 1], [2, 1], [3, 2], [4, 4], [5, 8], [6, 1], [7, 1], [8, 2], [9, 4], [10, 8], [11, 4], [12, 8], [13, 4]]);
const MOST_TAGS = 10_000;

/** @param {Uint8Array} block @returns {Form} @throws {DamagedError} it is none */
export function formOf(block) {
  const little = block[0] === 0x49;
  if (block.length < 8 || ![0x49, 0x4d].includes(block[0]) || block[0] !== block[1] || viewOf(block).getUint16(2, little) !== 42) throw new DamagedError();
  return {little, first: viewOf(block).getUint32(4, little)};
}

/**
 * The entries of a directory, and where the offset of the next one stands.
 * @param {Uint8Array} block @param {Form} form @param {number} start
 * @throws {DamagedError} it is not whole
 */
function entriesOf(block, {little}, start) {
  const view = viewOf(block);
  const count = start + 2 <= block.length ? view.getUint16(start, little) : MOST_TAGS + 1;
  const link = start + 2 + 12 * count;
  if (count > MOST_TAGS || link > block.length) throw new DamagedError();
  /** @type {Entry[]} */
  const entries = [];
  for (let at = start + 2; at < link; at += 12) {
    const kind = view.getUint16(at + 2, little), length = view.getUint32(at + 4, little);
    const size = (LENGTHS.get(kind) ?? 0) * length;
    entries.push({at, tag: view.getUint16(at, little), kind, length, size, values: size <= 4 ? at + 8 : view.getUint32(at + 8, little)});
  }
  return {entries, link};
}

/** @param {Uint8Array} block @param {Form} form @param {number} [start] @returns {Directory} what points outside is passed over */
export function directoryOf(block, form, start = form.first) {
  const directory = new Map();
  for (const {tag, kind, size, values} of entriesOf(block, form, start).entries) {
    if (size && values + size <= block.length && !directory.has(tag)) directory.set(tag, {kind, data: block.subarray(values, values + size), little: form.little});
  }
  return directory;
}

/** The first number of a tag that has whole ones. @param {Tag | undefined} tag */
function numberOf(tag) {
  if (!tag) return undefined;
  const view = viewOf(tag.data);
  if (tag.kind === 1) return view.getUint8(0);
  if (tag.kind === 3) return view.getUint16(0, tag.little);
  return tag.kind === 4 || tag.kind === 13 ? view.getUint32(0, tag.little) : undefined;
}

/** @param {Tag | undefined} tag */
function rationalOf(tag) {
  if (tag?.kind !== 5) return 0;
  const view = viewOf(tag.data);
  const value = view.getUint32(0, tag.little) / view.getUint32(4, tag.little);
  return Number.isFinite(value) ? value : 0;
}

/** What a block says of the picture that it lies beside. @param {Uint8Array} block @throws {DamagedError} */
export function described(block) {
  const main = directoryOf(block, formOf(block));
  const orientation = numberOf(main.get(ORIENTATION)) ?? 1;
  const x = rationalOf(main.get(X_RESOLUTION)), y = rationalOf(main.get(Y_RESOLUTION)), unit = numberOf(main.get(RESOLUTION_UNIT)) ?? 2;
  /** @type {Density | null} */
  const density = x && y ? {x, y, unit: unit === 2 ? 'in' : unit === 3 ? 'cm' : ''} : null;
  return {orientation: orientation >= 1 && orientation <= 8 ? orientation : 1, density};
}

/**
 * A block of an upright picture of another size and of a resolution: edited in place, so that what points into it (maker notes) stays
 * right. Sizes are set where they are said; the thumbnail, of the old pixels, is taken out.
 * @param {Uint8Array} block @param {number} width @param {number} height @param {Resolution | null} resolution
 * @throws {DamagedError}
 */
export function resized(block, width, height, resolution) {
  const form = formOf(block);
  /** @type {Uint8Array} */
  let data = block.slice();
  const view = viewOf(data);
  const {entries, link} = entriesOf(block, form, form.first);
  const camera = inner(block, form, entries, EXIF);
  for (const entry of [...entries, ...camera]) {
    if (entry.length !== 1 || ![3, 4].includes(entry.kind)) continue;
    if (WIDTHS.includes(entry.tag)) setNumber(view, form, entry, width);
    if (HEIGHTS.includes(entry.tag)) setNumber(view, form, entry, height);
    if (entry.tag === ORIENTATION) setNumber(view, form, entry, 1);
  }
  const missing = tagsOf(resolution);
  for (const entry of entries) {
    const value = missing.get(entry.tag);
    missing.delete(entry.tag);
    const place = value && entry.kind === value.kind && entry.length === 1 ? entry.values : Infinity;
    if (value && place + value.data.length <= data.length) data.set(ordered(value, form.little), place);
  }
  if (link + 4 <= data.length) {
    data = withoutThumbnail(data, form, view.getUint32(link, form.little));
    viewOf(data).setUint32(link, 0, form.little);
  }
  return missing.size ? withTags(data, form, missing) : data;
}

/** @param {Uint8Array} block @param {Form} form @param {readonly Entry[]} entries @param {number} pointer @returns {Entry[]} */
function inner(block, form, entries, pointer) {
  const found = entries.find(({tag, length}) => tag === pointer && length === 1);
  try {
    return found ? entriesOf(block, form, viewOf(block).getUint32(found.values, form.little)).entries : [];
  } catch {
    return []; // it points outside
  }
}

/** A SHORT cannot hold more than 65,535; it becomes a LONG, which fits into the same place. @param {DataView} view @param {Form} form @param {Entry} entry @param {number} value */
function setNumber(view, {little}, entry, value) {
  const long = entry.kind === 4 || value > 0xffff;
  view.setUint16(entry.at + 2, long ? 4 : 3, little);
  view.setUint32(entry.at + 8, 0);
  if (long) view.setUint32(entry.at + 8, value, little);
  else view.setUint16(entry.at + 8, value, little);
}

/** Overwritten, and cut off where it lies at the end. @param {Uint8Array} data @param {Form} form @param {number} start of its directory */
function withoutThumbnail(data, form, start) {
  try {
    const directory = directoryOf(data, form, start);
    const at = numberOf(directory.get(THUMBNAIL)), length = numberOf(directory.get(THUMBNAIL_LENGTH));
    if (!at || !length || at + length > data.length) return data;
    data.fill(0, at, at + length);
    return at + length === data.length ? data.subarray(0, at) : data;
  } catch {
    return data; // there is no such directory
  }
}

/** With more tags in the first directory, which moves to the end. @param {Uint8Array} data @param {Form} form @param {Directory} fresh */
function withTags(data, form, fresh) {
  const {entries} = entriesOf(data, form, form.first);
  const kept = new Map(entries.map(({at, tag}) => [tag, data.subarray(at, at + 12)]));
  const start = data.length + (data.length % 2);
  const head = joined([data, new Uint8Array(data.length % 2)]);
  viewOf(head).setUint32(4, start, form.little);
  return joined([head, laidOut(fresh, kept, form.little, start)]);
}

/**
 * A directory that begins at `start`, and after it the values that do not fit into it.
 * @param {Directory} fresh @param {Map<number, Uint8Array>} kept entries as they are @param {boolean} little @param {number} start
 */
function laidOut(fresh, kept, little, start) {
  const entries = new Map(kept);
  const values = [];
  let after = start + 6 + 12 * new Set([...fresh.keys(), ...kept.keys()]).size;
  for (const [tag, value] of fresh) {
    const data = ordered(value, little);
    const entry = new Uint8Array(12), view = viewOf(entry);
    view.setUint16(0, tag, little);
    view.setUint16(2, value.kind, little);
    view.setUint32(4, data.length / (LENGTHS.get(value.kind) ?? 1), little);
    if (data.length <= 4) entry.set(data, 8);
    else {
      view.setUint32(8, after, little);
      values.push(data, new Uint8Array(data.length % 2));
      after += data.length + (data.length % 2);
    }
    entries.set(tag, entry);
  }
  const count = new Uint8Array(2);
  viewOf(count).setUint16(0, entries.size, little);
  const sorted = [...entries].sort(([a], [b]) => a - b).map(([, entry]) => entry);
  return joined([count, ...sorted, new Uint8Array(4), ...values]);
}

/** The bytes of a value in an order. @param {Tag} tag @param {boolean} little */
function ordered({kind, data, little: own}, little) {
  const size = kind === 5 || kind === 10 ? 4 : (LENGTHS.get(kind) ?? 1);
  if (own === little || size === 1) return data;
  const turned = data.slice();
  for (let at = 0; at < turned.length; at += size) turned.subarray(at, at + size).reverse();
  return turned;
}

/** @param {Resolution | null} resolution @returns {Directory} */
function tagsOf(resolution) {
  if (!resolution) return new Map();
  const perUnit = resolution.unit === 'cm' ? 10 : 25.4;
  return new Map([
    [X_RESOLUTION, rational(resolution.x * perUnit)], [Y_RESOLUTION, rational(resolution.y * perUnit)],
    [RESOLUTION_UNIT, {kind: 3, data: Uint8Array.of(resolution.unit === 'cm' ? 3 : 2, 0), little: true}],
  ]);
}

/** @param {number} value @returns {Tag} */
function rational(value) {
  const data = new Uint8Array(8), view = viewOf(data);
  const whole = Math.round(value);
  const parts = Math.abs(value - whole) < 1e-6 ? 1 : 1000;
  view.setUint32(0, Math.min(0xffffffff, Math.round(value * parts)), true);
  view.setUint32(4, parts, true);
  return {kind: 5, data, little: true};
}

/** A block that says a resolution alone. @param {Resolution} resolution */
export function blockOf(resolution) {
  return joined([Uint8Array.of(0x49, 0x49, 42, 0, 8, 0, 0, 0), laidOut(tagsOf(resolution), new Map(), true, 8)]);
}

/** A block without its maker note: written anew, so that the note's bytes are gone. @param {Uint8Array} block @throws {DamagedError} */
export function withoutMakerNote(block) {
  const form = formOf(block);
  const main = directoryOf(block, form);
  /** @type {Uint8Array[]} */
  const body = [Uint8Array.of(0x49, 0x49, 42, 0, 0, 0, 0, 0)];
  let at = 8;
  for (const pointer of [EXIF, GPS]) {
    const place = numberOf(main.get(pointer));
    main.delete(pointer);
    try {
      const directory = place === undefined ? new Map() : directoryOf(block, form, place);
      directory.delete(MAKER_NOTE);
      directory.delete(INTEROPERABILITY);
      if (!directory.size) continue;
      main.set(pointer, {kind: 4, data: Uint8Array.of(at & 0xff, (at >> 8) & 0xff, at >> 16, 0), little: true});
      body.push(laidOut(directory, new Map(), true, at));
      at += body[body.length - 1].length;
    } catch {
      // it points outside
    }
  }
  viewOf(body[0]).setUint32(4, at, true);
  return joined([...body, laidOut(main, new Map(), true, at)]);
}
