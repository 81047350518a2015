// What goes wrong, in one sentence for people.

export class UpscaleError extends Error {
  /** @param {string} message @param {{cause?: unknown}} [options] */
  constructor(message, options) {
    super(message, options);
    this.name = 'UpscaleError';
  }
}
