// Picture files of this page: `read` and `write`, each in a worker of its own, which is ended when it is done or no longer wanted.

import {PictureError} from './errors.js';
import {ERRORS} from './words.js';

/** @typedef {import('./reading.js').Picture} Picture */
/** @typedef {import('./upright.js').Pixels} Pixels */
/** @typedef {import('./writing.js').Options} Options */

export {PictureError};

/**
 * @param {Blob} blob @param {string} name what messages call it @param {{signal?: AbortSignal}} [options]
 * @returns {Promise<Picture>}
 * @throws {PictureError}
 */
export function read(blob, name, {signal} = {}) {
  return inWorker('read', [blob, name], name, signal);
}

/**
 * @param {Pixels} pixels copied, so that the caller keeps them @param {Options & {signal?: AbortSignal}} options
 * @returns {Promise<{blob: Blob, notes: string[]}>}
 * @throws {PictureError}
 */
export function write(pixels, {signal, ...options}) {
  return inWorker('write', [pixels, options], options.format, signal);
}

/** @param {'read' | 'write'} task @param {unknown[]} given @param {string} name @param {AbortSignal} [signal] @returns {Promise<any>} */
async function inWorker(task, given, name, signal) {
  signal?.throwIfAborted();
  const worker = new Worker(new URL('./worker.js', import.meta.url), {type: 'module'});
  /** @type {(() => void) | undefined} */
  let abort;
  try {
    return await new Promise((resolve, reject) => {
      abort = () => reject(signal?.reason);
      signal?.addEventListener('abort', abort);
      worker.onmessage = ({data: {result, sentence, detail}}) => {
        if (result) resolve(result);
        else reject(new PictureError(sentence ?? ERRORS.broken(name), {cause: detail}));
      };
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new PictureError(ERRORS.broken(name), {cause: event.message}));
      };
      worker.postMessage({task, given});
    });
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === 'DataCloneError') throw new PictureError(ERRORS.outOfMemory, {cause});
    throw cause;
  } finally {
    if (abort) signal?.removeEventListener('abort', abort);
    worker.terminate();
  }
}
