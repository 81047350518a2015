// Pictures made band by band: rows of the result, from the rows before that they need, through passes of the network and a bicubic
// resize at the end. As src/fsrcnn/windows.py has it, with windows as wide as the picture.

import {FILL_REACH, fromStudio, toStudio} from './colour.js';
import {contributions, needed, resizeRows} from './imresize.js';
import {halo} from './weights.js';

const BICUBIC_REACH = 2;

/**
 * A link of the chain: its output's size, the rows of the source that rows from … to-1 of its output depend on, and these rows as planes.
 * @typedef {{size: [number, number], source: (from: number, to: number) => [number, number], rows: (from: number, to: number) => Float32Array[]}} Step
 */

/**
 * Part of a picture, and which part of the result shall be made of it.
 * @typedef {object} Band
 * @property {number[]} passes scales of the networks that are run, one after the other
 * @property {[number, number]} before (height, width) of the picture
 * @property {[number, number]} after of the result
 * @property {number} channels
 * @property {number} from first row of the result
 * @property {number} to one behind the last
 * @property {number} start the picture's row with which `samples` begin
 * @property {import('./colour.js').Samples} samples
 */

/** The pixels of a picture. @implements {Step} */
class Source {
  /** @param {Pick<Band, 'before' | 'channels'> & Partial<Band>} band */
  constructor(band) {
    this.band = band;
    this.size = band.before;
  }
  // Hidden colours are repainted from their surroundings, so a picture with alpha is read with a margin.
  /** @param {number} from @param {number} to @returns {[number, number]} */
  source(from, to) {
    const margin = this.band.channels % 2 === 0 ? FILL_REACH : 0;
    return [Math.max(from - margin, 0), Math.min(to + margin, this.size[0])];
  }
  /** @param {number} from @param {number} to */
  rows(from, to) {
    const {channels, start = 0, samples = new Uint8Array()} = this.band, width = this.size[1], row = width * channels;
    const [first, last] = this.source(from, to);
    const planes = toStudio(samples.subarray((first - start) * row, (last - start) * row), channels, width);
    return planes.map((plane) => plane.subarray((from - first) * width, (to - first) * width));
  }
}

/** One pass of the network: luma by the engine, the others by bicubic interpolation to the same size. @implements {Step} */
class SuperResolution {
  /** @param {Step} before @param {import('./weights.js').Architecture} architecture @param {import('./engine.js').Engine} [engine] */
  constructor(before, architecture, engine) {
    this.before = before;
    this.engine = engine;
    this.scale = architecture.scale;
    this.margin = Math.max(halo(architecture), BICUBIC_REACH);
    /** @type {[number, number]} */
    this.size = [before.size[0] * this.scale, before.size[1] * this.scale];
  }
  /** From an even row on: the engine works on pairs of rows. @param {number} from @param {number} to @returns {[number, number]} */
  lr(from, to) {
    const first = Math.max(Math.floor(from / this.scale) - this.margin, 0);
    return [first - (first % 2), Math.min(Math.ceil(to / this.scale) + this.margin, this.before.size[0])];
  }
  /** @param {number} from @param {number} to */
  source(from, to) {
    return this.before.source(...this.lr(from, to));
  }
  /** @param {number} from @param {number} to */
  rows(from, to) {
    const [first, last] = this.lr(from, to), [height, width] = this.before.size, wide = this.size[1];
    const [luma, ...others] = this.before.rows(first, last);
    const engine = /** @type {import('./engine.js').Engine} */ (this.engine);
    const sr = engine.luma(luma, last - first, width).subarray((from - this.scale * first) * wide, (to - this.scale * first) * wide);
    if (others.length === 0) return [sr];
    const down = contributions(height, this.size[0]), across = contributions(width, wide);
    return [sr, ...others.map((plane) => resizeRows(plane, width, first, down, across, from, to))];
  }
}

/** MATLAB's bicubic on all components, to an exact size. @implements {Step} */
class Resize {
  /** @param {Step} before @param {[number, number]} size */
  constructor(before, size) {
    this.before = before;
    this.size = size;
    this.down = contributions(before.size[0], size[0]);
    this.across = contributions(before.size[1], size[1]);
  }
  /** @param {number} from @param {number} to */
  source(from, to) {
    return this.before.source(...needed(this.down, from, to));
  }
  /** @param {number} from @param {number} to */
  rows(from, to) {
    const [first, last] = needed(this.down, from, to);
    return this.before.rows(first, last).map((plane) => resizeRows(plane, this.before.size[1], first, this.down, this.across, from, to));
  }
}

/**
 * @param {Pick<Band, 'before' | 'after' | 'passes' | 'channels'> & Partial<Band>} band
 * @param {Map<number, import('./weights.js').Architecture>} architectures by scale
 * @param {Map<number, import('./engine.js').Engine>} [engines] needed for `rows`
 * @returns {Step}
 */
function chainOf(band, architectures, engines) {
  /** @type {Step} */
  let step = new Source(band);
  for (const scale of band.passes)
    step = new SuperResolution(step, /** @type {import('./weights.js').Architecture} */ (architectures.get(scale)), engines?.get(scale));
  return step.size[0] === band.after[0] && step.size[1] === band.after[1] ? step : new Resize(step, band.after);
}

/**
 * The rows of the source that a band of the result depends on.
 * @param {Pick<Band, 'before' | 'after' | 'passes' | 'channels' | 'from' | 'to'>} band
 * @param {Map<number, import('./weights.js').Architecture>} architectures
 */
export function sourceRows(band, architectures) {
  return chainOf(band, architectures).source(band.from, band.to);
}

/**
 * A band of the result.
 * @param {Band} band @param {Map<number, import('./engine.js').Engine>} engines
 */
export function computed(band, engines) {
  const {passes, before, after, channels, from, to, start, samples} = band;
  const [height, width] = before, scale = passes[0], engine = engines.get(scale);
  if (engine && passes.length === 1 && after[0] === scale * height && after[1] === scale * width && from % scale === 0 && to % scale === 0) {
    const rows = samples.length / (width * channels);
    const down = partOf(contributions(height, after[0]), scale, start, rows), across = contributions(width, after[1]);
    return engine.picture(samples, channels, rows, width, down, across, from / scale - start, to / scale - start);
  }
  const architectures = new Map(Array.from(engines, ([key, {architecture}]) => [key, architecture]));
  const result = new /** @type {any} */ (samples.constructor)((to - from) * after[1] * channels);
  fromStudio(chainOf(band, architectures, engines).rows(from, to), result);
  return result;
}

/**
 * The taps of `rows` LR rows from row `start` on, counted from there. What lies outside of them is not read for a row that is wanted.
 * @param {import('./imresize.js').Taps} taps @param {number} scale @param {number} start @param {number} rows
 * @returns {import('./imresize.js').Taps}
 */
function partOf({taps, weights, indices}, scale, start, rows) {
  const from = scale * start * taps, to = scale * (start + rows) * taps;
  const part = indices.slice(from, to).map((index) => Math.min(Math.max(index - start, 0), rows - 1));
  return {taps, length: scale * rows, weights: weights.slice(from, to), indices: part};
}
