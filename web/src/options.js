// What a caller gave, checked: options of names that exist, each of its kind.

import {UpscaleError} from './errors.js';

/** What a value shall be, in words, and whether it is. @typedef {readonly [words: string, legal: (value: any) => boolean]} Kind */

/** @param {number} least @param {number} [most] @returns {Kind} */
export function whole(least, most = Number.MAX_SAFE_INTEGER) {
  const words = most === Number.MAX_SAFE_INTEGER ? `from ${least}` : `from ${least} to ${most}`;
  return [`a whole number ${words}`, (value) => Number.isSafeInteger(value) && value >= least && value <= most];
}

/** @type {Kind} */
export const ANY = ['anything', () => true];
/** @type {Kind} */
export const CALLABLE = ['a function', (value) => typeof value === 'function'];

/** @param {string} name @param {unknown} value @param {Kind} kind */
export function check(name, value, [words, legal]) {
  if (!legal(value)) throw new UpscaleError(`${name} is ${words}, not ${described(value)}`);
}

/**
 * @template {object} T
 * @param {string} subject with its verb @param {T} given @param {Record<string, Kind>} kinds by name
 * @returns {T} what was given; one that is undefined was not
 */
export function checkOptions(subject, given, kinds) {
  const names = Object.keys(kinds), shape = `${subject} {${names.join(', ')}}`;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw new UpscaleError(`${shape}, not ${described(given)}`);
  const surplus = Object.keys(given).find((name) => !names.includes(name));
  if (surplus !== undefined) throw new UpscaleError(`${shape}; there is no ${surplus}`);
  for (const [name, value] of names.map((name) => [name, /** @type {any} */ (given)[name]])) if (value !== undefined) check(name, value, kinds[name]);
  return given;
}

/**
 * A value as an error names it: as JavaScript writes it, or by its class.
 * @param {any} value @param {boolean} [inside] of another one
 * @returns {string}
 */
export function described(value, inside = false) {
  if (typeof value === 'string') {
    const text = `'${value.length > 80 ? `${value.slice(0, 80)}…` : value}'`;
    return !inside && value.trim() !== '' && !Number.isNaN(Number(value)) ? `the text ${text}` : text;
  }
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return 'a function';
  if (typeof value !== 'object' || value === null) return String(value);
  const plain = Object.getPrototypeOf(value) === Object.prototype, name = plain ? 'Object' : String(value.constructor?.name ?? 'Object');
  if ((plain || Array.isArray(value)) && !inside) {
    const parts = Object.entries(value).slice(0, 8).map(([key, part]) => (plain ? `${key}: ` : '') + described(part, true));
    return plain ? `{${parts.join(', ')}}` : `[${parts.join(', ')}]`;
  }
  return `${/^([AEIO]|HTML)/.test(name) ? 'an' : 'a'} ${name}`;
}
