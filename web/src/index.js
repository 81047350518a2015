// FSRCNN in a browser: pictures made larger by the engine of fsrcnn, compiled to WebAssembly, in workers.

import {MODELS} from './bundled.js';
import {checkedCompression, choiceOf} from './choice.js';
import {UpscaleError} from './errors.js';
import {ANY, CALLABLE, check, checkOptions, described, whole} from './options.js';
import {asGiven, blank, pixelsOf} from './picture.js';
import {cores, fileOf, workerStarter} from './platform.js';
import {FACTOR, chain, sizeOf} from './size.js';
import {arrayLengths, averaged, parse} from './weights.js';
import {sourceRows} from './windows.js';
import {Workers} from './workers.js';

export {MODELS, UpscaleError};

const AUTO = 'auto';
const MOST_THREADS = 1024;
const DIRECT_BAND = 2 ** 23, CHAIN_BAND = 2 ** 21; // the most pixels of a result that a worker makes at a time
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 22, 1, 20, 0, 253, 12, ...new Array(16).fill(0), 11]; // () → v128

/** @typedef {Record<string, import('./options.js').Kind>} Kinds */

/** @type {import('./options.js').Kind} */
const MODEL = ["a name, or a Uint8Array or ArrayBuffer with a weights file's bytes", (value) => typeof value === 'string' || isBytes(value)];
/** @type {Kinds} */
const LOAD = {
  scale: FACTOR,
  precision: ['fast or exact', (value) => value === 'fast' || value === 'exact'],
  threads: whole(1, MOST_THREADS),
  base: ["an absolute URL, as new URL('./fsrcnn/', import.meta.url)", isBase],
};
/** Size and compression are checked where they are read. @type {Kinds} */
const CHOOSE = {size: ANY, compression: ANY};
/** @type {Kinds} */
const UPSCALE = {
  ...CHOOSE,
  // By what is called, as a library's or another frame's has another class.
  signal: ['an AbortSignal', (value) => typeof value?.throwIfAborted === 'function' && typeof value.addEventListener === 'function'],
  onChoice: CALLABLE,
  onProgress: CALLABLE,
};

/** @typedef {import('./engine.js').Network} Network */

/** Scale → how to get its weights. @typedef {Map<number, () => Promise<import('./weights.js').Weights>>} Sources */

export class Upscaler {
  /** @private */
  constructor(/** @type {any} */ parts) {
    /** @type {string} */
    this.model = parts.model;
    /** @type {number} */
    this.scale = parts.scale;
    /** @type {'fast' | 'exact'} */
    this.precision = parts.precision;
    /** Model → its sources: one model for all pictures, or those among which `auto` chooses. @type {Map<string, Sources>} */
    this.models = parts.models;
    /** What chooses, by scale; null but for `auto`. @type {Record<string, import('./choice.js').Network> | null} */
    this.table = parts.table;
    /** @type {Map<() => Promise<import('./weights.js').Weights>, Promise<Network>>} */
    this.networks = new Map();
    /** @type {Workers} */
    this.workers = parts.workers;
  }

  /**
   * @param {string | Uint8Array | ArrayBuffer} [model]
   * @param {{scale?: number, precision?: 'fast' | 'exact', threads?: number, base?: string | URL}} [options]
   */
  static async load(model = 'fsrcnn', options = {}) {
    check('a model', model, MODEL);
    const {scale, precision = 'fast', threads = Math.min(cores, MOST_THREADS), base = import.meta.url} = checkOptions('the options of load are', options, LOAD);
    if (typeof WebAssembly === 'undefined' || !WebAssembly.validate(Uint8Array.from(SIMD)))
      throw new UpscaleError('this browser has no WebAssembly with 128-bit SIMD: take Chrome or Edge from 91, Firefox from 89, or Safari from 16.4');
    const label = typeof model === 'string' ? model : 'weights';
    const table = label === AUTO ? await fileOf('choice.json', base, (bytes) => JSON.parse(new TextDecoder().decode(bytes))) : null;
    const models = new Map(table ? table[2].families.map((/** @type {string} */ family) => [family, sourcesOf(family, base)]) : [[label, sourcesOf(model, base)]]);
    const [first, sources] = [...models][0];
    const fallback = sources.has(2) ? 2 : [...sources.keys()][0];
    const [code, start] = await Promise.all([fileOf('fsrcnn.wasm', base, (bytes) => WebAssembly.compile(bytes)), workerStarter()]);
    const upscaler = new Upscaler({model: label, scale: scale ?? fallback, precision, models, table, workers: new Workers(code, threads, start)});
    try {
      // What is wrong with the weights is said here, not at the first picture.
      await Promise.all(chain(upscaler.scale, [...sources.keys()]).map((pass) => upscaler.network(first, pass)));
    } catch (error) {
      upscaler.close();
      throw error;
    }
    return upscaler;
  }

  /**
   * With `auto`, the family that a picture will have, and why; null where no network is run, or the model is another.
   * @param {any} picture
   * @param {{size?: import('./size.js').Size, compression?: import('./choice.js').Compression | null}} [options]
   * @returns {Promise<import('./choice.js').Choice | null>}
   */
  async choose(picture, options = {}) {
    const {size = {factor: this.scale}, compression = null} = checkOptions('the options of choose are', options, CHOOSE);
    const pixels = pixelsOf(picture);
    return this.chosen(pixels, this.passes(pixels, sizeOf(size, pixels.height, pixels.width)), checkedCompression(compression));
  }

  /**
   * @param {any} picture
   * @param {{size?: import('./size.js').Size, compression?: import('./choice.js').Compression | null, signal?: AbortSignal,
   *   onChoice?: (choice: import('./choice.js').Choice) => void, onProgress?: (done: number) => void}} [options]
   * @returns {Promise<any>}
   */
  async upscale(picture, options = {}) {
    const {size = {factor: this.scale}, compression = null, signal, onChoice, onProgress} = checkOptions('the options of upscale are', options, UPSCALE);
    signal?.throwIfAborted();
    const pixels = pixelsOf(picture), {data, width, height, channels} = pixels;
    const after = sizeOf(size, height, width), passes = this.passes(pixels, after);
    const choice = await this.chosen(pixels, passes, checkedCompression(compression));
    const networks = await Promise.all(passes.map((pass) => this.network(choice?.model ?? [...this.models.keys()][0], pass)));
    if (choice) onChoice?.(choice);
    signal?.throwIfAborted();
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

  /**
   * The scales of the networks that are run, one after the other. All of `models` have the same ones.
   * @private @param {{width: number, height: number}} picture @param {[number, number]} after
   */
  passes({width, height}, after) {
    const [sources] = this.models.values();
    return chain(Math.max(after[0] / height, after[1] / width), [...sources.keys()]);
  }

  /**
   * @private @param {import('./picture.js').Pixels} pixels @param {number[]} passes @param {import('./choice.js').Compression | null} compression
   * @returns {Promise<import('./choice.js').Choice | null>}
   */
  async chosen(pixels, passes, compression) {
    if (!this.table || passes.length === 0) return null;
    return choiceOf(await this.workers.estimates({...pixels, data: pixels.data.slice()}), compression, this.table[passes[0]]);
  }

  /** @private @param {string} model @param {number} scale @returns {Promise<Network>} */
  network(model, scale) {
    const source = /** @type {() => Promise<import('./weights.js').Weights>} */ (this.models.get(model)?.get(scale));
    const found = this.networks.get(source) ?? this.made(source);
    this.networks.set(source, found);
    found.catch(() => this.networks.delete(source)); // another try reads it again
    return found;
  }

  /** @private @param {() => Promise<import('./weights.js').Weights>} source @returns {Promise<Network>} */
  async made(source) {
    const weights = await source(), {architecture, arrays} = weights;
    if (this.precision === 'fast') return {architecture, ...(await this.workers.fixedPoint(weights))};
    return {architecture, arrays: Float32Array.from([...arrayLengths(architecture).keys()].flatMap((name) => [.../** @type {Float32Array} */ (arrays.get(name))]))};
  }
}

/** @param {unknown} model @returns {model is Uint8Array | ArrayBuffer} */
function isBytes(model) {
  return model instanceof Uint8Array || model instanceof ArrayBuffer;
}

/** Whether a file's address can be made with it. @param {any} base */
function isBase(base) {
  try {
    return Boolean(new URL('fsrcnn.wasm', base));
  } catch {
    return false;
  }
}

/**
 * Scale → how to get its weights: several scales for a family, one for anything else.
 * @param {any} model @param {string | URL} base
 * @returns {Sources}
 */
function sourcesOf(model, base) {
  if (isBytes(model)) {
    const weights = parse(new Uint8Array(/** @type {any} */ (model).buffer ?? model, /** @type {any} */ (model).byteOffset ?? 0, model.byteLength), 'the weights file');
    return new Map([[weights.architecture.scale, async () => weights]]);
  }
  /** @param {string} name */
  const bundled = async (name) => parse(await fileOf(`models/${name}.safetensors`, base, (bytes) => bytes), name);
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
    `there is no model ${described(model)}; there are auto, ${families.join(', ')}, each also with a scale as fsrcnn-x2, ` +
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
