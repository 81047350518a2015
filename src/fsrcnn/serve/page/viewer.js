// A result beside its original: one canvas that draws what is visible, at any zoom, divided by a line or side by side.
//
// A point of the picture is given in pixels of the result; `scale` is how many of the screen's pixels show one of them.

import {byId} from './element.js';
import {words} from './strings.js';

const STEP = 1.25; // of + and −
const ARROW = 64; // CSS pixels that an arrow key pans
const REACH = 28; // CSS pixels around the divider in which a pointer takes it
const LARGEST = 16; // screen pixels for a pixel
const OVERVIEW = 2048; // longest side of a reduced copy, from which small views are drawn

/** @typedef {import('./queue.js').Item} Item */
/** @typedef {{left: number, top: number, width: number, height: number}} Box */
/** @typedef {{width: number, height: number, box: Box, bitmap: ImageBitmap}} Tile a window of the bicubic picture at one size */

export class Viewer {
  constructor() {
    this.stage = /** @type {HTMLElement} */ (byId('stage'));
    this.canvas = /** @type {HTMLCanvasElement} */ (byId('canvas'));
    this.slider = /** @type {HTMLInputElement} */ (byId('divider'));
    this.message = /** @type {HTMLElement} */ (byId('stage-message'));
    this.context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext('2d', {willReadFrequently: true})); // no texture is too large then
    /** @type {Item | null} */
    this.item = null;
    /** @type {ImageBitmap | null} */
    this.before = null;
    /** @type {ImageBitmap | null} */
    this.after = null;
    /** @type {ImageBitmap | null} */
    this.overview = null;
    /** @type {Tile | null} */
    this.tile = null;
    /** @type {Worker | null} */
    this.worker = null;
    /** What the worker was asked for, and what it shall be asked next. @type {any} */
    this.asked = null;
    /** @type {any} */
    this.wanted = null;
    this.width = this.height = 1;
    this.fitted = true;
    this.scale = 1;
    this.center = {x: 0, y: 0};
    this.pending = false;
    /** Pointers that are down. @type {Map<number, {x: number, y: number}>} */
    this.pointers = new Map();
    /** @type {'divider' | 'pan' | null} */
    this.gesture = null;
    this.undivided = this.slider.value; // where the divider was before a gesture
    this.listen();
  }

  /** @private */
  listen() {
    new ResizeObserver(() => this.resized()).observe(this.stage);
    this.slider.addEventListener('input', () => this.draw());
    for (const name of ['before-kind', 'side']) byId(name).addEventListener('input', () => this.draw());
    for (const button of document.querySelectorAll('[data-zoom]'))
      button.addEventListener('click', () => this.zoomTo(/** @type {HTMLElement} */ (button).dataset.zoom ?? 'fit'));
    this.stage.addEventListener('keydown', (event) => this.key(event));
    this.stage.addEventListener('pointerdown', (event) => this.down(event));
    this.stage.addEventListener('pointermove', (event) => this.move(event));
    for (const name of ['pointerup', 'pointercancel']) this.stage.addEventListener(name, (event) => this.up(/** @type {PointerEvent} */ (event)));
    this.stage.addEventListener('touchstart', (event) => event.touches.length > 1 && event.preventDefault(), {passive: false}); // two fingers zoom the picture
    this.stage.addEventListener('wheel', (event) => this.wheel(event), {passive: false});
    this.stage.addEventListener('dblclick', (event) => (this.fitted ? this.zoomBy(1 / this.scale, this.at(event)) : this.zoomTo('fit')));
  }

  /** @param {Item | null} item that is done, or none */
  async show(item) {
    if (item === this.item && item?.result === this.result) return;
    this.clear();
    this.item = item;
    this.result = item?.result ?? null;
    if (!item?.result) return;
    const {result, file} = item;
    this.say(words.loading);
    const [after, before] = await Promise.all([bitmapOf(result.blob), bitmapOf(file)]);
    if (this.result !== result) {
      after?.close();
      before?.close();
      return;
    }
    this.after = after;
    this.before = before;
    [this.width, this.height] = after ? [after.width, after.height] : result.facts.output;
    this.say(after ? (before ? '' : words.cannotShowBefore) : words.cannotShow(result.name), !after);
    for (const control of document.querySelectorAll('.needs-picture')) /** @type {HTMLInputElement} */ (control).disabled = !after;
    for (const control of document.querySelectorAll('.needs-before')) /** @type {HTMLInputElement} */ (control).disabled = !after || !before;
    this.stage.dataset.empty = String(!after);
    this.zoomTo('fit');
    if (after && Math.max(after.width, after.height) > 1.5 * OVERVIEW) {
      const part = OVERVIEW / Math.max(after.width, after.height);
      const options = {resizeWidth: Math.max(1, Math.round(part * after.width)), resizeHeight: Math.max(1, Math.round(part * after.height))};
      const overview = await createImageBitmap(after, {...options, resizeQuality: 'high'}).catch(() => null);
      if (this.after === after) this.overview = overview;
      else overview?.close();
      this.draw();
    }
  }

  /** Forget a picture, and stop what is computed for it. @private */
  clear() {
    this.worker?.terminate();
    for (const bitmap of [this.before, this.after, this.overview, this.tile?.bitmap]) bitmap?.close();
    this.worker = this.before = this.after = this.overview = this.tile = this.asked = this.wanted = null;
    this.stage.dataset.empty = 'true';
    this.draw();
  }

  /** @private @param {string} text @param {boolean} [alone] there is no picture under it */
  say(text, alone = true) {
    this.message.textContent = text;
    this.message.hidden = !text;
    this.message.classList.toggle('alone', alone);
  }

  // Zoom and pan.

  /** The stage's size, and that of a pane of it, in screen pixels. @private */
  get pane() {
    const {width, height} = this.canvas;
    return {width: this.beside ? Math.floor(width / 2) : width, height};
  }

  /** Whether before and after stand side by side. @private */
  get beside() {
    return byId('side').checked && this.before !== null;
  }

  /** @private */
  get fitScale() {
    const {width, height} = this.pane, fills = Math.min(width / this.width, height / this.height);
    return fills > 1 ? Math.min(LARGEST, Math.floor(fills)) : fills;
  }

  /** @private */
  resized() {
    const {width, height} = this.stage.getBoundingClientRect(), ratio = devicePixelRatio;
    this.canvas.width = Math.max(1, Math.round(width * ratio));
    this.canvas.height = Math.max(1, Math.round(height * ratio));
    this.drawNow();
  }

  /** @param {string} zoom `fit`, `in`, `out`, or pixels of the screen for one of the result */
  zoomTo(zoom) {
    if (zoom === 'in') return this.zoomBy(STEP);
    if (zoom === 'out') return this.zoomBy(1 / STEP);
    this.fitted = zoom === 'fit';
    if (this.fitted) this.center = {x: this.width / 2, y: this.height / 2};
    else this.scale = Number(zoom);
    this.draw();
  }

  /** @private @param {number} factor @param {{x: number, y: number}} [at] what stays in place, from the middle of its pane, in screen pixels */
  zoomBy(factor, at = {x: 0, y: 0}) {
    const before = this.scale, after = Math.min(LARGEST, Math.max(this.fitScale, before * factor));
    this.fitted = after <= this.fitScale;
    this.center.x += at.x / before - at.x / after;
    this.center.y += at.y / before - at.y / after;
    this.scale = after;
    this.draw();
  }

  /** @private @param {number} x @param {number} y in screen pixels */
  pan(x, y) {
    this.center.x -= x / this.scale;
    this.center.y -= y / this.scale;
    this.draw();
  }

  /** Keep the zoom within its limits, and the picture in view. @private */
  settle() {
    const {width, height} = this.pane;
    if (this.fitted) this.scale = this.fitScale;
    const kept = (/** @type {number} */ center, /** @type {number} */ side, /** @type {number} */ view) =>
      side * this.scale <= view ? side / 2 : Math.min(side - view / 2 / this.scale, Math.max(view / 2 / this.scale, center));
    this.center = {x: kept(this.center.x, this.width, width), y: kept(this.center.y, this.height, height)};
  }

  /** @private */
  get pannable() {
    const {width, height} = this.pane;
    return this.width * this.scale > width + 1 || this.height * this.scale > height + 1;
  }

  // Keys, pointers, the wheel.

  /** @private @param {KeyboardEvent} event */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = ARROW * devicePixelRatio;
    /** @type {Record<string, () => void>} */
    const actions = {
      'ArrowLeft': () => this.pan(step, 0), 'ArrowRight': () => this.pan(-step, 0), 'ArrowUp': () => this.pan(0, step), 'ArrowDown': () => this.pan(0, -step),
      '+': () => this.zoomBy(STEP), '=': () => this.zoomBy(STEP), '-': () => this.zoomBy(1 / STEP), '−': () => this.zoomBy(1 / STEP),
      '0': () => this.zoomTo('fit'), '1': () => this.zoomTo('1'), '2': () => this.zoomTo('2'), '4': () => this.zoomTo('4'),
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  }

  /** Where a pointer is, from the middle of the pane under it, in screen pixels. @private @param {MouseEvent} event */
  at(event) {
    const box = this.stage.getBoundingClientRect(), width = this.beside ? box.width / 2 : box.width;
    const x = (event.clientX - box.left) % width;
    return {x: (x - width / 2) * devicePixelRatio, y: (event.clientY - box.top - box.height / 2) * devicePixelRatio};
  }

  /** @private @param {PointerEvent} event */
  down(event) {
    if (!this.after || event.button > 0) return;
    this.stage.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, {x: event.clientX, y: event.clientY});
    if (this.pointers.size > 1) {
      if (this.gesture === 'divider') this.slider.value = this.undivided; // what the first of two fingers did was not meant
      this.gesture = null;
      this.draw();
      return;
    }
    this.undivided = this.slider.value;
    const box = this.stage.getBoundingClientRect(), divided = this.before && !this.beside;
    const near = Math.abs(event.clientX - box.left - this.line / devicePixelRatio) <= REACH;
    this.gesture = divided && (near || !this.pannable) ? 'divider' : 'pan';
    if (this.gesture === 'divider') this.divideAt(event);
  }

  /** @private @param {PointerEvent} event */
  move(event) {
    const from = this.pointers.get(event.pointerId);
    if (!from) return;
    const to = {x: event.clientX, y: event.clientY};
    if (this.pointers.size === 2) {
      const other = /** @type {{x: number, y: number}} */ ([...this.pointers].find(([id]) => id !== event.pointerId)?.[1]);
      const far = (/** @type {{x: number, y: number}} */ point) => Math.hypot(point.x - other.x, point.y - other.y);
      this.pan(((to.x - from.x) * devicePixelRatio) / 2, ((to.y - from.y) * devicePixelRatio) / 2);
      this.zoomBy(far(to) / Math.max(1, far(from)), this.at(event));
    } else if (this.gesture === 'divider') this.divideAt(event);
    else if (this.gesture === 'pan') this.pan((to.x - from.x) * devicePixelRatio, (to.y - from.y) * devicePixelRatio);
    this.pointers.set(event.pointerId, to);
  }

  /** @private @param {PointerEvent} event */
  up(event) {
    this.pointers.delete(event.pointerId);
    if (this.pointers.size === 0) this.gesture = null;
  }

  /** @private @param {WheelEvent} event */
  wheel(event) {
    if (!this.after || !(event.ctrlKey || event.metaKey)) return; // else the page scrolls
    event.preventDefault();
    this.zoomBy(Math.exp(-event.deltaY / 200), this.at(event));
  }

  // The divider.

  /** The visible part of the picture from left to right, in screen pixels. @private @returns {[number, number]} */
  get extent() {
    const {width} = this.canvas, left = Math.round(width / 2 - this.center.x * this.scale);
    return [Math.max(0, left), Math.min(width, left + this.width * this.scale)];
  }

  /** Where the divider is, in screen pixels. @private */
  get line() {
    const [left, right] = this.extent, part = Number(this.slider.value) / Number(this.slider.max);
    return Math.round(left + part * (right - left));
  }

  /** @private @param {MouseEvent} event */
  divideAt(event) {
    const [left, right] = this.extent, x = (event.clientX - this.stage.getBoundingClientRect().left) * devicePixelRatio;
    this.slider.value = String(Number(this.slider.max) * Math.min(1, Math.max(0, (x - left) / Math.max(1, right - left))));
    this.draw();
  }

  // Drawing.

  /** @private */
  draw() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.drawNow();
    });
  }

  /** @private */
  drawNow() {
    const {context, canvas, beside} = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    const divided = this.after !== null && this.before !== null && !beside;
    for (const name of ['divider-line', 'label-before']) byId(name).hidden = name === 'divider-line' ? !divided : !(divided || beside);
    byId('label-after').hidden = !this.after;
    if (!this.after || canvas.width < 2) return; // nothing to show, or a stage that is hidden
    this.settle();
    const {width, height} = this.pane, kind = byId('before-kind').value;
    const whole = {left: 0, top: 0, width: canvas.width, height};
    if (beside) {
      this.drawBefore(kind, {left: 0, top: 0, width: width - 1, height}, width / 2);
      this.drawAfter({left: width + 1, top: 0, width: canvas.width - width - 1, height}, width + width / 2);
    } else {
      this.drawAfter(whole, width / 2);
      if (divided) this.drawBefore(kind, {...whole, width: this.line}, width / 2);
    }
    byId('label-before').textContent = kind === 'bicubic' ? words.bicubic : words.original;
    byId('label-after').textContent = this.result?.facts.model ?? words.after;
    this.slider.disabled = !divided;
    const line = this.line / devicePixelRatio;
    byId('divider-line').style.transform = `translateX(${line}px)`;
    this.slider.setAttribute('aria-valuetext', words.dividerAt(Number(this.slider.value) / Number(this.slider.max)));
    for (const button of document.querySelectorAll('[data-zoom]')) {
      const {zoom} = /** @type {HTMLElement} */ (button).dataset;
      if (zoom !== 'in' && zoom !== 'out') button.setAttribute('aria-pressed', String(zoom === 'fit' ? this.fitted : !this.fitted && this.scale === Number(zoom)));
    }
    byId('zoom-shown').textContent = words.percent(this.scale);
    this.stage.classList.toggle('pannable', this.pannable);
  }

  /** @private @param {Box} clip @param {number} middle of the pane, from the left */
  drawAfter(clip, middle) {
    const after = /** @type {ImageBitmap} */ (this.after), {overview, scale} = this;
    const source = overview && scale * after.width <= overview.width ? overview : after;
    this.drawBitmap(source, clip, middle, {left: 0, top: 0, width: this.width, height: this.height}, scale < 1);
  }

  /** @private @param {string} kind @param {Box} clip @param {number} middle */
  drawBefore(kind, clip, middle) {
    const before = /** @type {ImageBitmap} */ (this.before), all = {left: 0, top: 0, width: this.width, height: this.height};
    if (kind !== 'bicubic') {
      this.drawBitmap(before, clip, middle, all, (this.scale * this.width) / before.width < 1);
      return;
    }
    this.drawBitmap(before, clip, middle, all, true); // until the worker has it
    // As fine as it is shown, and never finer than the result.
    const fine = Math.min(1, this.scale), width = Math.max(1, Math.round(fine * this.width)), height = Math.max(1, Math.round(fine * this.height));
    const pane = this.pane, [x, y] = [width / this.width, height / this.height];
    const half = {x: pane.width / 2 / this.scale, y: pane.height / 2 / this.scale};
    const visible = within({left: (this.center.x - half.x) * x, top: (this.center.y - half.y) * y, width: 2 * half.x * x, height: 2 * half.y * y}, width, height);
    const {tile} = this;
    const fits = tile && tile.width === width && tile.height === height;
    if (tile && (fits || tile.width >= before.width)) {
      const [u, v] = [this.width / tile.width, this.height / tile.height], {box} = tile;
      this.drawBitmap(tile.bitmap, clip, middle, {left: box.left * u, top: box.top * v, width: box.width * u, height: box.height * v}, this.scale < 1 && !fits);
    }
    if (!fits || !contains(tile.box, visible)) {
      const wide = {left: visible.left - visible.width / 2, top: visible.top - visible.height / 2, width: 2 * visible.width, height: 2 * visible.height};
      this.ask({width, height, box: within(wide, width, height)});
    }
  }

  /**
   * A bitmap over a part of the picture.
   * @private @param {ImageBitmap} bitmap @param {Box} clip in screen pixels @param {number} middle of the pane @param {Box} place in the picture @param {boolean} smooth
   */
  drawBitmap(bitmap, clip, middle, place, smooth) {
    const {context, scale, center} = this;
    const left = Math.round(middle - center.x * scale), top = Math.round(this.canvas.height / 2 - center.y * scale);
    context.save();
    context.beginPath();
    context.rect(clip.left, clip.top, clip.width, clip.height);
    context.clip();
    context.imageSmoothingEnabled = smooth;
    context.imageSmoothingQuality = bitmap === this.after ? 'low' : 'medium';
    context.setTransform((scale * place.width) / bitmap.width, 0, 0, (scale * place.height) / bitmap.height, left + scale * place.left, top + scale * place.top);
    context.drawImage(bitmap, 0, 0);
    context.restore();
  }

  /** Ask the worker for a window of the bicubic picture; of several wishes only the last is kept. @private @param {{width: number, height: number, box: Box}} wish */
  ask(wish) {
    if (same(wish, this.asked)) return;
    this.wanted = wish;
    if (this.asked) return;
    if (!this.worker) {
      this.worker = new Worker(new URL('./bicubic.js', import.meta.url), {type: 'module'});
      this.worker.onmessage = ({data}) => this.answered(data);
      this.worker.postMessage({file: this.item?.file});
    }
    this.askNext();
  }

  /** @private */
  askNext() {
    if (!this.wanted || !this.worker) return;
    this.asked = this.wanted;
    this.wanted = null;
    this.worker.postMessage(this.asked);
  }

  /** @private @param {Tile} tile */
  answered(tile) {
    this.tile?.bitmap.close();
    this.tile = tile;
    this.asked = null;
    this.askNext();
    this.draw();
  }
}

/** A box on whole pixels that lies within a picture. @param {Box} box @param {number} width @param {number} height @returns {Box} */
function within(box, width, height) {
  const left = Math.max(0, Math.floor(box.left)), top = Math.max(0, Math.floor(box.top));
  const right = Math.min(width, Math.ceil(box.left + box.width)), bottom = Math.min(height, Math.ceil(box.top + box.height));
  return {left, top, width: Math.max(1, right - left), height: Math.max(1, bottom - top)};
}

/** @param {Box} outer @param {Box} inner */
function contains(outer, inner) {
  return (
    outer.left <= inner.left && outer.top <= inner.top &&
    outer.left + outer.width >= inner.left + inner.width && outer.top + outer.height >= inner.top + inner.height
  );
}

/** @param {any} a @param {any} b */
function same(a, b) {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** @param {Blob} blob @returns {Promise<ImageBitmap | null>} null where the browser cannot show it */
function bitmapOf(blob) {
  return createImageBitmap(blob).catch(() => null);
}
