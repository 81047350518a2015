// What only a browser does: JPEG and WebP decoded, lossy WebP encoded. Its canvas multiplies colours by their transparency, and some
// browsers alter what is read from it; so what is transparent passes through WebGL, and each way is tried with pixels that are known.

import {bytesOf, joined} from './bytes.js';
import {DamagedError, PictureError} from './errors.js';
import {ERRORS} from './words.js';

/** @typedef {import('./upright.js').Pixels} Pixels */
/** @typedef {(bitmap: ImageBitmap, top: number, rows: number) => Promise<Uint8Array | Uint8ClampedArray>} Reader of RGBA */

const AS_IT_IS = /** @type {const} */ ({premultiplyAlpha: 'none', colorSpaceConversion: 'none'});
const STRIP = 2 ** 22; // pixels that are read at a time
/** A lossless WebP of these four pixels. */
const KNOWN = [10, 200, 30, 1, 255, 0, 99, 0, 7, 8, 9, 128, 1, 2, 3, 254];
const KNOWN_FILE = 'UklGRj4AAABXRUJQVlA4TDIAAAAvAwAAEB+goG0bph/T4A+mmrYNmG7+ZPsraNuGDfUzGKQJBIh2wgnRbfN93H/UI6L/AQ==';

/**
 * The pixels of a file without metadata; `exact`: not changed by transparency.
 * @param {readonly Uint8Array[]} file its parts @param {string} type @param {{width: number, height: number, channels: number}} about what it says of itself
 * @returns {Promise<{pixels: Pixels, exact: boolean}>}
 * @throws {DamagedError} it cannot be decoded
 */
export async function decoded(file, type, {width, height, channels}) {
  const bitmap = await bitmapOf(joined(file), type);
  try {
    if (bitmap.width !== width || bitmap.height !== height) throw new DamagedError();
    const data = new Uint8Array(width * height * channels);
    const {read, exact} = channels === 4 ? await straightReader() : {read: plainReader(), exact: true};
    const together = Math.max(1, Math.min(height, Math.floor(STRIP / width)));
    for (let top = 0; top < height; top += together) {
      const rows = Math.min(together, height - top);
      const rgba = await read(bitmap, top, rows);
      const to = data.subarray(top * width * channels, (top + rows) * width * channels);
      if (channels === 4) to.set(rgba);
      else if (channels === 3) for (let i = 0, from = 0; i < to.length; i += 3, from += 4) [to[i], to[i + 1], to[i + 2]] = [rgba[from], rgba[from + 1], rgba[from + 2]];
      else for (let i = 0; i < to.length; i += 1) to[i] = rgba[4 * i];
    }
    return {pixels: {data, width, height, channels}, exact};
  } finally {
    bitmap.close();
  }
}

/** @param {Uint8Array<ArrayBuffer>} file in one piece: Firefox decodes no Blob of several @param {string} type @throws {DamagedError} */
async function bitmapOf(file, type) {
  try {
    return await createImageBitmap(new Blob([file], {type}), AS_IT_IS);
  } catch (cause) {
    throw new DamagedError({cause});
  }
}

/** What has no transparency, through a canvas. @returns {Reader} @throws {PictureError} the browser alters it */
function plainReader() {
  checkCanvas();
  /** @type {OffscreenCanvasRenderingContext2D | null} */
  let context = null;
  return async (bitmap, top, rows) => {
    context ??= canvasOf(bitmap.width, rows);
    context.drawImage(bitmap, 0, -top);
    return context.getImageData(0, 0, bitmap.width, rows).data;
  };
}

/** @param {number} width @param {number} height */
function canvasOf(width, height) {
  return /** @type {OffscreenCanvasRenderingContext2D} */ (new OffscreenCanvas(width, height).getContext('2d', {willReadFrequently: true}));
}

/** @throws {PictureError} what is read from a canvas is not what was put there: a guard against fingerprints */
function checkCanvas() {
  const side = 128, context = canvasOf(side, side), picture = new ImageData(side, side);
  for (let i = 0; i < picture.data.length; i += 1) picture.data[i] = i % 4 === 3 ? 255 : (i * 2654435761) >>> 24;
  context.putImageData(picture, 0, 0);
  const read = context.getImageData(0, 0, side, side).data;
  if (read.some((value, i) => value !== picture.data[i])) throw new PictureError(ERRORS.altered);
}

/** The way by which transparent pixels come as they are in their file, where this browser has one. @returns {Promise<{read: Reader, exact: boolean}>} */
async function straightReader() {
  const read = glReader();
  if (read) {
    const bitmap = await bitmapOf(bytesOf(atob(KNOWN_FILE)), 'image/webp');
    const rgba = await read(bitmap, 0, 1);
    bitmap.close();
    if (KNOWN.every((value, i) => rgba[i] === value)) return {read, exact: true};
  }
  return {read: plainReader(), exact: false};
}

/** Through a texture, of which nothing is multiplied. @returns {Reader | null} */
function glReader() {
  const gl = new OffscreenCanvas(1, 1).getContext('webgl2');
  if (!gl) return null;
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
  gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
  return async (bitmap, top, rows) => {
    const {width} = bitmap, strip = await createImageBitmap(bitmap, 0, top, width, rows, AS_IT_IS);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, strip);
    strip.close();
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, /** @type {WebGLTexture} */ (gl.getParameter(gl.TEXTURE_BINDING_2D)), 0);
    const rgba = new Uint8Array(4 * width * rows);
    gl.readPixels(0, 0, width, rows, gl.RGBA, gl.UNSIGNED_BYTE, rgba);
    if (gl.getError()) throw new DamagedError();
    return rgba;
  };
}

/**
 * A lossy WebP by this browser; null where it writes none.
 * @param {Pixels} pixels 8 bit, RGB or RGBA, of which the colours alone are encoded @param {number} quality 1 to 100
 */
export async function encodedWebp({data, width, height, channels}, quality) {
  const canvas = new OffscreenCanvas(width, height), context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext('2d', {willReadFrequently: true}));
  const together = Math.max(1, Math.min(height, Math.floor(STRIP / width)));
  for (let top = 0, from = 0; top < height; top += together) {
    const strip = new ImageData(width, Math.min(together, height - top)), rgba = strip.data;
    for (let i = 0; i < rgba.length; i += 4, from += channels) [rgba[i], rgba[i + 1], rgba[i + 2], rgba[i + 3]] = [data[from], data[from + 1], data[from + 2], 255];
    context.putImageData(strip, 0, top);
  }
  // 1 means lossless to Chromium, which is another thing than the quality of 100.
  const blob = await canvas.convertToBlob({type: 'image/webp', quality: Math.min(quality, 99.9) / 100});
  return blob.type === 'image/webp' ? new Uint8Array(await blob.arrayBuffer()) : null;
}
