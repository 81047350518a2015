// Bytes of files: views of them, numbers and texts in them.

/** @param {Uint8Array} bytes */
export function viewOf(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** @param {readonly Uint8Array[]} parts */
export function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** A character for each byte. @param {Uint8Array} bytes @param {number} [start] @param {number} [end] */
export function latin1(bytes, start = 0, end = bytes.length) {
  const pieces = [];
  for (let at = start; at < Math.min(end, bytes.length); at += 8192) pieces.push(String.fromCharCode(...bytes.subarray(at, Math.min(at + 8192, end))));
  return pieces.join('');
}

/** A byte for each character. @param {string} text */
export function bytesOf(text) {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** @param {Uint8Array} bytes @param {string} start a character for each byte */
export function startsWith(bytes, start) {
  return bytes.length >= start.length && latin1(bytes, 0, start.length) === start;
}

/** @param {Uint8Array} a @param {Uint8Array} b */
export function same(a, b) {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

/** @param {Uint8Array} bytes without the byte `value` at their end @param {number} value */
export function trimmed(bytes, value = 0) {
  let end = bytes.length;
  while (end && bytes[end - 1] === value) end -= 1;
  return bytes.subarray(0, end);
}
