// Pictures computed in this tab, by the engine in `engine/`, which `make web` puts there.

import {read, write} from './files/index.js';
import {command, resultName} from './names.js';
import {words} from './strings.js';

const SHARES = {read: 0.05, computed: 0.9}; // of the way, when the picture has been read, and computed

/** @type {any} */
let engine = null;
/** The engine with the weights that were wanted last: each has workers and memory of its own. */
let loaded = {key: '', upscaler: /** @type {Promise<any> | null} */ (null)};

/** Why no picture can be computed here; empty where they can. @returns {Promise<string>} */
export async function obstacle() {
  try {
    engine = await import('./engine/index.js');
  } catch {
    return words.noEngine;
  }
  try {
    await upscalerOf('fsrcnn', 'fast');
    return '';
  } catch (error) {
    return `${words.sentence(error)}.`;
  }
}

/** @param {string} model @param {string} precision @returns {Promise<any>} */
function upscalerOf(model, precision) {
  const key = `${model} ${precision}`;
  if (loaded.key !== key || !loaded.upscaler) {
    loaded.upscaler?.then((upscaler) => upscaler.close(), () => {});
    const upscaler = engine.Upscaler.load(model, {precision});
    loaded = {key, upscaler};
    upscaler.catch(() => (loaded = {key: '', upscaler: null})); // another try loads it again
  }
  return /** @type {Promise<any>} */ (loaded.upscaler);
}

/** @type {import('./queue.js').Door} */
export const browser = {
  lanes: 1, // each picture has all threads
  async compute(file, options, {signal, onProgress}) {
    const began = performance.now();
    const {pixels, format, metadata, compression, notes} = await read(file, file.name, {signal});
    onProgress(SHARES.read);
    const upscaler = await upscalerOf(options.model, options.precision);
    let choice = /** @type {{model: string, reason: string} | null} */ (null); // of `auto`
    const large = await upscaler.upscale(pixels, {
      size: options.size,
      signal,
      compression,
      onChoice: (/** @type {any} */ made) => (choice = made),
      onProgress: (/** @type {number} */ done) => onProgress(SHARES.read + (SHARES.computed - SHARES.read) * done),
    });
    const isLarger = large.width > pixels.width || large.height > pixels.height;
    const target = options.format ?? format;
    const {quality, lossless} = options;
    const {blob, notes: more} = await write(large, {format: /** @type {typeof format} */ (target), quality, lossless, metadata, signal});
    const keepsAll = target !== 'webp' || lossless || (quality === null && Boolean(metadata.lossless));
    return {
      blob,
      name: resultName(file.name, options.size, target),
      notes: [...notes, ...more],
      facts: {
        input: [pixels.width, pixels.height],
        output: [large.width, large.height],
        seconds: (performance.now() - began) / 1000,
        model: isLarger ? (choice?.model ?? options.model) : null,
        reason: isLarger ? (choice?.reason ?? null) : words.noLarger,
        engine: words.engineOfBrowser(options.precision),
        sameness: sameness(compression === null, keepsAll, options.precision),
        command: command(file.name, options),
      },
    };
  },
};

/**
 * What is the same with the command line's result.
 * @param {boolean} isRead not decoded by the browser's own ways @param {boolean} isWritten not encoded by them @param {string} precision
 */
function sameness(isRead, isWritten, precision) {
  const differences = [!isRead && words.decodedHere, !isWritten && words.encodedHere, precision === 'exact' && words.roundedHere].filter(Boolean);
  return differences.length > 0 ? differences.join(' ') : words.samePixels;
}
