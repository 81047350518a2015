// The form of options: what it says, what is wrong with it, and what it said when the page was here last.

import {keep, kept} from './settings.js';
import {words} from './strings.js';

/**
 * @typedef {{
 *   where: 'browser' | 'server', model: string, size: {factor?: number, width?: number, height?: number, fit?: [number, number]},
 *   precision: 'fast' | 'exact', format: string | null, quality: number | null, lossless: boolean,
 * }} Options
 */

const IN_BROWSER = ['png', 'jpg', 'webp'];
const LOSSLESS = ['png', 'tif', 'webp', 'avif'];

/** Tells with `change`. */
export class OptionsForm extends EventTarget {
  /** @param {HTMLFormElement} form */
  constructor(form) {
    super();
    this.form = form;
    /** @type {Options['where']} */
    this.where = 'browser';
    form.addEventListener('submit', (event) => event.preventDefault());
    form.addEventListener('input', () => this.changed());
    form.addEventListener('reset', () => setTimeout(() => this.changed())); // the fields are as at first only after the event
    this.restore();
    this.check();
  }

  /** @param {Options['where']} where */
  computeAt(where) {
    this.where = where;
    this.changed();
  }

  /** @private @param {string} name @returns {HTMLInputElement} */
  field(name) {
    return /** @type {HTMLInputElement} */ (this.form.elements.namedItem(name));
  }

  /** @returns {Options} */
  get options() {
    const text = (/** @type {string} */ name) => this.field(name).value.trim();
    const [width, height] = [Number(text('width')), Number(text('height'))];
    /** @type {Record<string, Options['size']>} */
    const sizes = {factor: {factor: Number(text('factor'))}, width: {width}, height: {height}, both: {width, height}, fit: {fit: [width, height]}};
    const model = text('model');
    return {
      where: this.where,
      model: model === 'strength' ? `fsrcnn-photo@${Number(text('strength'))}` : model,
      size: sizes[text('way')],
      precision: /** @type {'fast' | 'exact'} */ (text('precision')),
      format: text('format') || null,
      quality: text('quality') ? Number(text('quality')) : null,
      lossless: this.field('lossless').checked,
    };
  }

  /** What is wrong with each field. @private @returns {Record<string, string>} */
  get problems() {
    const {where, size, format, quality, lossless} = this.options;
    const isQuality = quality === null ? !this.field('quality').validity.badInput : Number.isSafeInteger(quality) && quality >= 1 && quality <= 100;
    const side = (/** @type {number | undefined} */ value) => (value === undefined || (Number.isSafeInteger(value) && value >= 1) ? '' : words.badSide);
    return {
      factor: size.factor === undefined || (size.factor > 1 && size.factor <= 64) ? '' : words.badFactor,
      width: side(size.width ?? size.fit?.[0]),
      height: side(size.height ?? size.fit?.[1]),
      format: where === 'browser' && format && !IN_BROWSER.includes(format) ? words.serverOnly(format) : '',
      quality: !isQuality ? words.badQuality : quality && lossless ? words.qualityOfLossless : '',
      lossless: lossless && format && !LOSSLESS.includes(format) ? words.badLossless(format) : '',
    };
  }

  /** Why no picture can be computed with these; empty where they can. */
  get problem() {
    const found = Object.values(this.problems).find(Boolean);
    return found ? words.badOptions(found) : '';
  }

  /** In some words. */
  get summary() {
    const {model, size, precision, format, quality, lossless} = this.options;
    const {factor, width, height, fit} = size;
    const large = factor ? `×${factor}` : fit ? `≤ ${fit.join(' × ')}` : `${width ?? '…'} × ${height ?? '…'}`;
    const written = [format ? words.named(format) : words.sameFormat, quality, lossless && words.lossless].filter(Boolean).join(' ');
    return words.summary([large, model, precision, written]);
  }

  /** @private */
  changed() {
    this.check();
    const fields = /** @type {HTMLInputElement[]} */ ([...this.form.querySelectorAll('select, input')]);
    keep('options', Object.fromEntries(fields.map(({name, type, checked, value}) => [name, type === 'checkbox' ? checked : value])));
    this.dispatchEvent(new Event('change'));
  }

  /** Say at each field what is wrong with it, and show those that count. @private */
  check() {
    const way = this.field('way').value;
    const shown = {
      strength: this.field('model').value === 'strength',
      factor: way === 'factor',
      width: way === 'width' || way === 'both' || way === 'fit',
      height: way === 'height' || way === 'both' || way === 'fit',
    };
    for (const [name, visible] of Object.entries(shown)) /** @type {HTMLElement} */ (this.field(name).closest('.field')).hidden = !visible;
    /** @type {HTMLElement} */ (this.form.querySelector('output[name=strengthShown]')).textContent = this.field('strength').value;
    for (const [name, problem] of Object.entries(this.problems)) {
      const field = this.field(name);
      field.setAttribute('aria-invalid', String(Boolean(problem)));
      /** @type {HTMLElement} */ (this.form.querySelector(`#${name}-problem`)).textContent = problem;
    }
  }

  /** @private */
  restore() {
    for (const [name, value] of Object.entries(kept('options') ?? {})) {
      const field = this.field(name);
      if (field instanceof HTMLSelectElement && ![...field.options].some((option) => option.value === value)) continue; // of another version
      if (field?.type === 'checkbox') field.checked = value === true;
      else if (field) field.value = String(value);
    }
  }
}
