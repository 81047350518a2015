// FSRCNN in a browser: pictures made larger by the engine of fsrcnn, compiled to WebAssembly, in workers.

import {MODELS} from './bundled.js';
import {UpscaleError} from './errors.js';
import {fixedPoint} from './fixed_point.js';
import {asGiven, blank, pixelsOf} from './picture.js';
import {bytesOf, cores, workerStarter} from './platform.js';
import {chain, sizeOf} from './size.js';
import {arrayLengths, averaged, parse} from './weights.js';
import {sourceRows} from './windows.js';
import {Workers} from './workers.js';

export {MODELS, UpscaleError};

const DIRECT_BAND = 2 ** 23, CHAIN_BAND = 2 ** 21; // the most pixels of a result that a worker makes at a time
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 22, 1, 20, 0, 253, 12, ...new Array(16).fill(0), 11]; // () → v128

/** @typedef {import('./engine.js').Network} Network */

export class Upscaler {
  /** @private */
  constructor(/** @type {any} */ parts) {
    /** @type {string} */
    this.model = parts.model;
    /** @type {number} */
    this.scale = parts.scale;
    /** @type {'fast' | 'exact'} */
    this.precision = parts.precision;
    /** Scale → how to get its weights. @type {Map<number, () => Promise<import('./weights.js').Weights>>} */
    this.sources = parts.sources;
    /** @type {Map<number, Promise<Network>>} */
    this.networks = new Map();
    /** @type {Workers} */
    this.workers = parts.workers;
  }

  /**
   * @param {string | Uint8Array | ArrayBuffer} [model]
   * @param {{scale?: number, precision?: 'fast' | 'exact', threads?: number, base?: string | URL}} [options]
   */
  static async load(model = 'fsrcnn', {scale, precision = 'fast', threads = cores, base = import.meta.url} = {}) {
    if (precision !== 'fast' && precision !== 'exact') throw new UpscaleError(`precision is fast or exact, not ${precision}`);
    if (!Number.isSafeInteger(threads) || threads < 1) throw new UpscaleError(`threads is a whole number from 1, not ${threads}`);
    if (typeof WebAssembly === 'undefined' || !WebAssembly.validate(Uint8Array.from(SIMD)))
      throw new UpscaleError('this browser has no WebAssembly with 128-bit SIMD: take Chrome or Edge from 91, Firefox from 89, or Safari from 16.4');
    const sources = sourcesOf(model, base);
    const fallback = sources.has(2) ? 2 : [...sources.keys()][0];
    sizeOf({factor: scale ?? fallback}, 1, 1);
    const [code, start] = await Promise.all([bytesOf('fsrcnn.wasm', base).then((bytes) => WebAssembly.compile(bytes)), workerStarter()]);
    const label = typeof model === 'string' ? model : 'weights';
    const upscaler = new Upscaler({model: label, scale: scale ?? fallback, precision, sources, workers: new Workers(code, threads, start)});
    // What is wrong with the weights is said here, not at the first picture.
    await Promise.all(chain(upscaler.scale, [...sources.keys()]).map((pass) => upscaler.network(pass)));
    return upscaler;
  }

  /**
   * @param {any} picture
   * @param {{size?: import('./size.js').Size, signal?: AbortSignal, onProgress?: (done: number) => void}} [options]
   * @returns {Promise<any>}
   */
  async upscale(picture, {size = {factor: this.scale}, signal, onProgress} = {}) {
    signal?.throwIfAborted();
    const {data, width, height, channels} = pixelsOf(picture);
    const after = sizeOf(size, height, width);
    const passes = chain(Math.max(after[0] / height, after[1] / width), [...this.sources.keys()]);
    const networks = await Promise.all(passes.map((pass) => this.network(pass)));
    const architectures = new Map(networks.map(({architecture}) => [architecture.scale, architecture]));
    const result = blank(data, after[0], after[1], channels);
    const bands = bandsOf(after, passes.length === 1 && after[0] === passes[0] * height && after[1] === passes[0] * width ? passes[0] : 0, this.workers.count);
    let next = 0, done = 0;
    const lane = async () => {
      while (next < bands.length) {
        const [from, to] = bands[next++];
        const band = {passes, before: /** @type {[number, number]} */ ([height, width]), after, channels, from, to};
        const [start, end] = sourceRows(band, architectures), row = width * channels;
        const samples = await this.workers.computed({...band, start, samples: data.slice(start * row, end * row)}, networks);
        result.set(samples, from * after[1] * channels);
        done += to - from;
        if (!over.signal.aborted) onProgress?.(done / after[0]);
      }
    };
    const over = new AbortController();
    const aborted = new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason), {signal: over.signal}));
    const lanes = Array.from({length: Math.min(this.workers.count, bands.length)}, lane);
    try {
      await Promise.race([Promise.all(lanes), aborted]);
    } finally {
      next = bands.length; // after a failure no band is begun
      over.abort();
    }
    return asGiven(picture, {data: result, width: after[1], height: after[0], channels});
  }

  /** End its workers. A call under way is rejected. */
  close() {
    this.workers.close();
  }

  /** @private @param {number} scale @returns {Promise<Network>} */
  network(scale) {
    const found = this.networks.get(scale) ?? this.made(scale);
    this.networks.set(scale, found);
    found.catch(() => this.networks.delete(scale)); // another try reads it again
    return found;
  }

  /** @private @param {number} scale @returns {Promise<Network>} */
  async made(scale) {
    const weights = await /** @type {() => Promise<import('./weights.js').Weights>} */ (this.sources.get(scale))();
    const {architecture, arrays} = weights;
    if (this.precision === 'fast') return {architecture, ...fixedPoint(weights)};
    return {architecture, arrays: Float32Array.from([...arrayLengths(architecture).keys()].flatMap((name) => [.../** @type {Float32Array} */ (arrays.get(name))]))};
  }
}

/**
 * Scale → how to get its weights: several scales for a family, one for anything else.
 * @param {any} model @param {string | URL} base
 * @returns {Map<number, () => Promise<import('./weights.js').Weights>>}
 */
function sourcesOf(model, base) {
  if (model instanceof Uint8Array || model instanceof ArrayBuffer) {
    const weights = parse(new Uint8Array(/** @type {any} */ (model).buffer ?? model, /** @type {any} */ (model).byteOffset ?? 0, model.byteLength), 'the weights');
    return new Map([[weights.architecture.scale, async () => weights]]);
  }
  /** @param {string} name */
  const bundled = async (name) => parse(await bytesOf(`models/${name}.safetensors`, base), name);
  if (MODELS.includes(model)) return new Map([[Number(model.slice(-1)), () => bundled(model)]]);
  const scales = [2, 3, 4].filter((scale) => MODELS.includes(`${model}-x${scale}`));
  if (scales.length) return new Map(scales.map((scale) => [scale, () => bundled(`${model}-x${scale}`)]));
  const strength = /^fsrcnn-photo@(\d*\.?\d+)$/.exec(model);
  if (strength) {
    if (Number(strength[1]) > 1) throw new UpscaleError(`the strength behind fsrcnn-photo@ is 0 to 1, not ${strength[1]}`);
    /** @param {number} scale */
    const between = async (scale) => {
      const ends = await Promise.all(['mild', 'strong'].map((end) => bundled(`fsrcnn-photo-${end}-x${scale}`)));
      return averaged(ends[0], ends[1], Number(strength[1]));
    };
    return new Map([2, 3, 4].map((scale) => [scale, () => between(scale)]));
  }
  const families = [...new Set(MODELS.map((name) => name.replace(/-x\d$/, '')))];
  throw new UpscaleError(
    `there is no model ${model}; there are ${families.join(', ')}, each also with a scale as fsrcnn-x2, ` +
      'fsrcnn-photo@0.7 with a strength of 0 to 1, or the bytes of a weights file',
  );
}

/**
 * Rows of the result for a worker at a time: as many for each, and none too large.
 * @param {[number, number]} after @param {number} scale of a single pass; 0 where there is more to do @param {number} threads
 * @returns {[number, number][]}
 */
function bandsOf([height, width], scale, threads) {
  const unit = scale || 1, units = height / unit;
  const most = Math.max(1, Math.floor((scale ? DIRECT_BAND : CHAIN_BAND) / (unit * width)));
  const few = Math.max(1, Math.min(threads, Math.floor(units / 16))); // a band of less than 16 rows is mostly halo
  const count = Math.max(Math.ceil(units / most), few);
  const fair = Math.min(units, Math.ceil(count / few) * few);
  return Array.from({length: fair}, (_, i) => [unit * Math.floor((units * i) / fair), unit * Math.floor((units * (i + 1)) / fair)]);
}
