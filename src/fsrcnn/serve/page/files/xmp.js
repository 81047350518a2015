// XMP (ISO 16684-1) follows the pixels: the few values that tell their size and orientation are set, the rest stays byte for byte.

import {bytesOf, latin1} from './bytes.js';

const TIFF = 'http://ns.adobe.com/tiff/1.0/', EXIF = 'http://ns.adobe.com/exif/1.0/';
const GAIN_MAPS = ['http://ns.adobe.com/hdr-gain-map/1.0/', 'http://ns.apple.com/HDRGainMap/1.0/'];
const CAMERA = 'http://ns.google.com/photos/1.0/camera/', CONTAINER = 'http://ns.google.com/photos/1.0/container/';

/** XMP of an upright picture of another size. @param {Uint8Array} xmp @param {number} width @param {number} height */
export function resized(xmp, width, height) {
  return edited(xmp, (text) => {
    /** @type {[string, string, number][]} */
    const wanted = [
      [TIFF, 'Orientation', 1], [TIFF, 'ImageWidth', width], [TIFF, 'ImageLength', height], [EXIF, 'PixelXDimension', width],
      [EXIF, 'PixelYDimension', height],
    ];
    for (const [space, name, value] of wanted) {
      for (const prefix of prefixesOf(text, space)) {
        text = text.replace(new RegExp(`(\\s${prefix}:${name}\\s*=\\s*(["']))[^"'<]*(?=\\2)`, 'g'), (_, start) => start + value);
        text = text.replace(new RegExp(`(<${prefix}:${name}(?:\\s[^<>]*)?>)[^<]*(?=</)`, 'g'), (_, start) => start + value);
      }
    }
    return text;
  });
}

/** XMP without the blanks that packets keep free for editors. @param {Uint8Array} xmp */
export function withoutPadding(xmp) {
  const text = latin1(xmp), mark = text.lastIndexOf('<?xpacket end');
  return bytesOf(mark < 0 ? text.trimEnd() : `${text.slice(0, mark).trimEnd()}\n${text.slice(mark).trimEnd()}`);
}

/**
 * XMP of the still picture alone, and what else it spoke of, that is not written: `gain map`, `video` (Ultra HDR, motion photos).
 * @param {Uint8Array} xmp @returns {{xmp: Uint8Array, attached: string[]}}
 */
export function withoutAttachments(xmp) {
  /** @type {string[]} */
  const attached = [];
  const alone = edited(xmp, (text) => {
    const gainMap = GAIN_MAPS.flatMap((space) => prefixesOf(text, space));
    const motion = prefixesOf(text, CAMERA).filter((prefix) => new RegExp(`${prefix}:(MotionPhoto|MicroVideo)\\b`).test(text));
    if (gainMap.length || /Semantic\s*(=\s*["']|>)\s*GainMap/.test(text)) attached.push('gain map');
    if (motion.length) attached.push('video');
    if (!attached.length) return text;
    const names = [...gainMap.map((prefix) => `${prefix}:\\w+`), ...motion.map((prefix) => `${prefix}:(?:MotionPhoto|MicroVideo)\\w*`)];
    names.push(...prefixesOf(text, CONTAINER).map((prefix) => `${prefix}:Directory`));
    for (const name of names) {
      text = text.replace(new RegExp(`<(${name})(\\s[^<>]*)?(/>|>[^]*?</\\1\\s*>)`, 'g'), '');
      text = text.replace(new RegExp(`\\s${name}\\s*=\\s*("[^"<]*"|'[^'<]*')`, 'g'), '');
    }
    return text;
  });
  return {xmp: attached.length ? alone : xmp, attached};
}

/** @param {Uint8Array} xmp @returns {'utf-16le' | 'utf-16be' | null} null: UTF-8 */
function wideEncoding([first, second]) {
  if ((first === 0x3c && second === 0) || (first === 0xff && second === 0xfe)) return 'utf-16le';
  return (first === 0 && second === 0x3c) || (first === 0xfe && second === 0xff) ? 'utf-16be' : null;
}

/** In the only encoding that a PNG's text has. @param {Uint8Array} xmp */
export function inUtf8(xmp) {
  const wide = wideEncoding(xmp);
  return wide ? new TextEncoder().encode(new TextDecoder(wide).decode(xmp)) : xmp;
}

/**
 * Bytes edited as text. What is edited is ASCII, so UTF-8 is taken byte by byte, and UTF-16 by its pairs.
 * @param {Uint8Array} xmp @param {(text: string) => string} edit
 */
function edited(xmp, edit) {
  const wide = wideEncoding(xmp);
  if (!wide) return bytesOf(edit(latin1(xmp)));
  const [low, high] = wide === 'utf-16le' ? [0, 1] : [1, 0];
  const units = [];
  for (let at = 0; at + 1 < xmp.length; at += 2) units.push(String.fromCharCode(xmp[at + low] | (xmp[at + high] << 8)));
  const text = edit(units.join(''));
  const bytes = new Uint8Array(2 * text.length);
  for (let i = 0; i < text.length; i += 1) {
    bytes[2 * i + low] = text.charCodeAt(i) & 0xff;
    bytes[2 * i + high] = text.charCodeAt(i) >> 8;
  }
  return bytes;
}

/** The names by which a packet calls a namespace, as patterns. @param {string} text @param {string} space */
function prefixesOf(text, space) {
  const found = text.matchAll(new RegExp(`xmlns:([\\w.-]+)\\s*=\\s*["']${escaped(space)}["']`, 'g'));
  return [...new Set([...found].map(([, name]) => escaped(name)))].sort();
}

/** @param {string} text */
function escaped(text) {
  return text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');
}
