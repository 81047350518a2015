// The pictures: which there are, in which order they are computed, and what became of each.

import {words} from './strings.js';

/**
 * @typedef {'waiting' | 'running' | 'done' | 'failed' | 'cancelled'} State
 * @typedef {import('./options.js').Options} Options
 * @typedef {{
 *   input: [number, number], output: [number, number], seconds: number, model: string | null, reason: string | null,
 *   engine: string, sameness: string, command: string,
 * }} Facts what is known of a result: sizes in pixels
 * @typedef {{blob: Blob, name: string, facts: Facts, notes: string[]}} Result
 * @typedef {{signal: AbortSignal, onProgress: (done: number, remark?: string) => void}} Watch
 * @typedef {{compute: (file: File, options: Options, watch: Watch) => Promise<Result>, lanes: number}} Door where pictures are computed, how many at a time
 */

export class Item {
  /** @param {number} id @param {File} file @param {string} folder with / behind, or empty @param {Options} options */
  constructor(id, file, folder, options) {
    this.id = id;
    this.file = file;
    this.folder = folder;
    this.options = options;
    /** @type {State} */
    this.state = 'waiting';
    /** The part that is done, 0 … 1. */
    this.progress = 0;
    /** What it waits for, where that is not its turn. */
    this.remark = '';
    /** Why it failed. */
    this.problem = '';
    /** @type {Result | null} */
    this.result = null;
    /** The result lies in a file of the user's. */
    this.saved = false;
    this.controller = new AbortController();
  }

  get active() {
    return this.state === 'waiting' || this.state === 'running';
  }
}

/** Tells with `change` (an item, `detail`) and `order` (items came or went). */
export class Queue extends EventTarget {
  /** @param {Record<Options['where'], Door>} doors */
  constructor(doors) {
    super();
    this.doors = doors;
    /** @type {Item[]} */
    this.items = [];
    this.last = 0;
  }

  /**
   * @param {{file: File, folder: string}[]} pictures
   * @param {Options} options
   * @param {string} problem why they cannot be computed with these; empty where they can
   */
  add(pictures, options, problem) {
    const added = pictures.map(({file, folder}) => new Item(++this.last, file, folder, options));
    if (problem)
      added.forEach((item) => {
        item.state = 'failed';
        item.problem = problem;
      });
    this.items.push(...added);
    this.dispatchEvent(new Event('order'));
    this.next();
    return added;
  }

  /** @param {Item} item @param {Options} options of this moment */
  retry(item, options) {
    this.stop(item);
    Object.assign(item, {options, progress: 0, remark: '', problem: '', result: null, saved: false, controller: new AbortController()});
    item.state = 'waiting';
    this.told(item);
    this.next();
  }

  /** @param {Item} item */
  cancel(item) {
    if (!item.active) return;
    this.stop(item);
    item.state = 'cancelled';
    this.told(item);
    this.next();
  }

  /** @param {(item: Item) => boolean} which */
  remove(which) {
    const gone = this.items.filter(which);
    gone.forEach((item) => this.stop(item));
    this.items = this.items.filter((item) => !which(item));
    this.dispatchEvent(new Event('order'));
    this.next();
  }

  /** @private @param {Item} item */
  stop(item) {
    item.controller.abort();
  }

  /** Begin what has a free lane. @private */
  next() {
    for (const where of /** @type {Options['where'][]} */ (Object.keys(this.doors))) {
      const here = this.items.filter(({options}) => options.where === where);
      let free = this.doors[where].lanes - here.filter(({state}) => state === 'running').length;
      for (const item of here) {
        if (free <= 0) break;
        if (item.state !== 'waiting') continue;
        free--;
        this.run(item, this.doors[where]);
      }
    }
  }

  /** @private @param {Item} item @param {Door} door */
  async run(item, door) {
    const {controller} = item;
    const current = () => item.controller === controller && !controller.signal.aborted; // not cancelled, removed or begun anew
    item.state = 'running';
    this.told(item);
    try {
      const onProgress = (/** @type {number} */ done, remark = '') => {
        if (!current()) return;
        Object.assign(item, {progress: done, remark});
        this.told(item);
      };
      const result = await door.compute(item.file, item.options, {signal: controller.signal, onProgress});
      if (current()) Object.assign(item, {state: 'done', progress: 1, remark: '', result});
    } catch (error) {
      if (current()) Object.assign(item, {state: 'failed', remark: '', problem: words.sentence(error)});
    }
    if (current()) this.told(item);
    this.next();
  }

  /** @private @param {Item} item */
  told(item) {
    this.dispatchEvent(new CustomEvent('change', {detail: item}));
  }
}
