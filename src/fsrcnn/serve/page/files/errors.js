// What goes wrong, in one sentence for people.

export class PictureError extends Error {
  /** @param {string} message @param {{cause?: unknown}} [options] */
  constructor(message, options) {
    super(message, options);
    this.name = 'PictureError';
  }
}

/** A file breaks off, or is not as its format wants it; `reading.js` makes a sentence of it. */
export class DamagedError extends Error {
  /** @param {{truncated?: boolean, cause?: unknown}} [about] */
  constructor({truncated = false, cause} = {}) {
    super('damaged', {cause});
    this.truncated = truncated;
  }
}
