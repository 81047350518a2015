// What a page has of a picture, as packed samples; and packed samples as the kind that came in.

import {UpscaleError} from './errors.js';
import {check, described} from './options.js';
import {SIDE} from './size.js';

/** @typedef {import('./colour.js').Samples} Samples */
/** @typedef {{data: Samples, width: number, height: number, channels: number}} Pixels */

/** @type {import('./options.js').Kind} */
const PICTURE = [
  'an ImageData, an ImageBitmap, or {data, width, height, channels} with data a Uint8Array, Uint8ClampedArray, Uint16Array or Float32Array',
  (value) => [Uint8Array, Uint8ClampedArray, Uint16Array, Float32Array].some((type) => value?.data instanceof type),
];
/** @type {import('./options.js').Kind} */
const CHANNELS = ['1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGBA)', (value) => [1, 2, 3, 4].includes(value)];

/**
 * @param {any} picture ImageData, ImageBitmap, or packed samples with width, height and channels
 * @returns {Pixels}
 */
export function pixelsOf(picture) {
  if (isImageBitmap(picture)) return drawn(picture);
  if (ArrayBuffer.isView(picture) || picture instanceof ArrayBuffer)
    throw new UpscaleError(`${described(picture)} alone does not say its size: give {data, width, height, channels}`);
  check('a picture', picture, PICTURE);
  const {data, width, height, channels = isImageData(picture) ? 4 : undefined} = picture;
  check('width', width, SIDE);
  check('height', height, SIDE);
  check('channels', channels, CHANNELS);
  if (data.length !== width * height * channels)
    throw new UpscaleError(`${width}×${height} pixels of ${channels} channel${channels > 1 ? 's' : ''} are ${width * height * channels} samples, not ${data.length}`);
  if (data instanceof Float32Array && !data.every((value) => value >= 0 && value <= 1)) throw new UpscaleError('float32 samples lie in 0 … 1: divide them by their peak first');
  return {data, width, height, channels};
}

/** @param {ImageBitmap} bitmap @returns {Pixels} */
function drawn(bitmap) {
  const {width, height} = bitmap;
  if (width * height === 0) throw new UpscaleError('this ImageBitmap was closed and has no pixels any more');
  try {
    const context = /** @type {OffscreenCanvasRenderingContext2D} */ (new OffscreenCanvas(width, height).getContext('2d', {willReadFrequently: true}));
    context.drawImage(bitmap, 0, 0);
    return {data: context.getImageData(0, 0, width, height).data, width, height, channels: 4};
  } catch (cause) {
    throw new UpscaleError(`${width}×${height} pixels are too many for a canvas of this browser`, {cause});
  }
}

/** @param {unknown} picture @returns {picture is ImageBitmap} */
function isImageBitmap(picture) {
  return typeof ImageBitmap !== 'undefined' && picture instanceof ImageBitmap;
}

/** @param {unknown} picture @returns {picture is ImageData} */
function isImageData(picture) {
  return typeof ImageData !== 'undefined' && picture instanceof ImageData;
}

/** Samples of the same type for a result. @param {Samples} like @param {number} height @param {number} width @param {number} channels @returns {Samples} */
export function blank(like, height, width, channels) {
  try {
    return new /** @type {any} */ (like.constructor)(height * width * channels);
  } catch (cause) {
    throw new UpscaleError(`a result of ${width}×${height} pixels is too large for this tab's memory: give a smaller size`, {cause});
  }
}

/**
 * @param {any} picture what came in @param {Pixels} result
 * @returns {any} an ImageData for one, and for an ImageBitmap; else the pixels
 */
export function asGiven(picture, result) {
  if (isImageBitmap(picture)) return new ImageData(/** @type {any} */ (result.data), result.width, result.height);
  if (!isImageData(picture)) return result;
  return new ImageData(/** @type {any} */ (result.data), result.width, result.height, {colorSpace: picture.colorSpace});
}
