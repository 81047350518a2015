// zlib's format, by the browser (and Node from 18): packed and unpacked piece by piece.

import {DamagedError} from './errors.js';
import {joined} from './bytes.js';

const PIECE = 2 ** 16; // bytes that a stream is given at a time

/**
 * Unpacks. What has not been asked for has not been unpacked, but for a piece or two: a bomb does not go off.
 * @param {Iterable<Uint8Array>} packed @returns {AsyncGenerator<Uint8Array>}
 */
export async function* inflated(packed) {
  const stream = new DecompressionStream('deflate');
  const reader = stream.readable.getReader();
  const fed = feed(stream.writable.getWriter(), packed);
  try {
    for (let read; !(read = await reader.read()).done; ) yield /** @type {Uint8Array} */ (read.value);
  } catch (cause) {
    throw new DamagedError({cause});
  } finally {
    await reader.cancel().catch(() => {});
    await fed;
  }
}

/** At most `most` bytes, unpacked. @param {Uint8Array} packed @param {number} most @throws {DamagedError} damaged, or more than that */
export async function inflatedWhole(packed, most = 2 ** 26) {
  const pieces = [];
  let length = 0;
  for await (const piece of inflated([packed])) {
    length += piece.length;
    if (length > most) throw new DamagedError();
    pieces.push(piece);
  }
  return joined(pieces);
}

/** Packs. @param {Iterable<Uint8Array>} plain @returns {AsyncGenerator<Uint8Array>} */
export async function* deflated(plain) {
  const stream = new CompressionStream('deflate');
  const reader = stream.readable.getReader();
  const fed = feed(stream.writable.getWriter(), plain);
  for (let read; !(read = await reader.read()).done; ) yield /** @type {Uint8Array} */ (read.value);
  await fed;
}

/** @param {Uint8Array} plain */
export async function deflatedWhole(plain) {
  const pieces = [];
  for await (const piece of deflated([plain])) pieces.push(piece);
  return joined(pieces);
}

/** What goes wrong is said by the readable side. @param {WritableStreamDefaultWriter<any>} writer @param {Iterable<Uint8Array>} parts */
async function feed(writer, parts) {
  try {
    for (const part of parts) {
      for (let at = 0; at < part.length; at += PIECE) await writer.write(part.subarray(at, at + PIECE));
    }
    await writer.close();
  } catch {
    // the reader was cancelled, or meets the same error
  }
}
