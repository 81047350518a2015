// Which weights for which picture: those of which most decibels are expected. As src/fsrcnn/choice.py has it: a small network foretells
// the gain of each family from what the file says of its compression and from what estimates.js measures.

import {check, checkOptions, whole} from './options.js';

/** What a picture's file says of how it was compressed; a quality of 1 to 100 for a JPEG. @typedef {{format: string, quality?: number | null}} Compression */

/**
 * `choice.json` for one scale: `layers` hold weights (members, inputs, outputs) and biases (members, 1, outputs).
 * @typedef {{families: string[], mean: number[], deviation: number[], layers: [number[][][], number[][][]][]}} Network
 */

/** @type {import('./options.js').Kind} */
const FORMAT = ['the name of a format, as JPEG', (value) => typeof value === 'string' && value !== ''];
const QUALITY = whole(1, 100);
/** @type {Record<string, import('./options.js').Kind>} */
const COMPRESSION = {format: FORMAT, quality: [`${QUALITY[0]}, or null`, (value) => value === null || QUALITY[1](value)]};

/** @typedef {{model: string, reason: string, expected: Record<string, number>, noise: number}} Choice */

/**
 * @param {import('./estimates.js').Estimates} estimates @param {Compression | null} compression @param {Network} network
 * @returns {Choice}
 */
export function choiceOf(estimates, compression, network) {
  const gains = gainsOf(features(estimates, compression), network);
  const model = network.families[gains.indexOf(Math.max(...gains))];
  const expected = Object.fromEntries(network.families.map((name, i) => [name, rounded(gains[i], 2)]));
  const noise = rounded(estimates.noise, 2);
  return {model, reason: reasonOf(expected, noise, compression), expected, noise};
}

/** @param {Record<string, number>} expected @param {number} noise @param {Compression | null} compression */
function reasonOf(expected, noise, compression) {
  const {format, quality} = compression ?? {};
  const file = quality != null ? `JPEG quality about ${quality}, ` : format ? `${format}, ` : '';
  const gains = Object.entries(expected).map(([name, gain]) => {
    const short = rounded(gain, 1);
    return `${name} ${short < 0 ? '' : '+'}${short.toFixed(1)} dB`;
  });
  return `${file}noise or fine texture ${rounded(noise, 1).toFixed(1)}; expected over bicubic: ${gains.join(', ')}`;
}

/**
 * What the network sees.
 * @param {import('./estimates.js').Estimates} estimates @param {Compression | null} compression
 */
export function features({noise, blocks, steepness, correlations, spectrum, edges}, compression) {
  const quality = compression?.quality ?? null;
  const coarseness = quality === null ? 0 : Math.log2(1 + 9 * (quality < 50 ? 50 / quality : 2 - quality / 50));
  return [Math.log2(noise + 0.3), blocks, steepness, ...correlations, ...spectrum, ...edges, coarseness, compression && quality === null ? 1 : 0];
}

/**
 * Of each family over bicubic interpolation, in dB: standardised features through layers with ReLU between them; the mean of the members.
 * @param {number[]} features @param {Network} network
 */
export function gainsOf(features, {mean, deviation, layers}) {
  const standardised = features.map((value, i) => Math.min(Math.max((value - mean[i]) / deviation[i], -3), 3));
  const members = layers[0][0].map((_, member) =>
    layers.reduce((values, [weights, biases], number) => {
      const given = number === 0 ? values : values.map((value) => Math.max(value, 0));
      return biases[member][0].map((bias, o) => given.reduce((sum, value, i) => sum + value * weights[member][i][o], 0) + bias);
    }, standardised),
  );
  return members[0].map((_, o) => members.reduce((sum, gains) => sum + gains[o], 0) / members.length);
}

/** As Python rounds: a half goes to the even neighbour. @param {number} value @param {number} digits */
function rounded(value, digits) {
  const steps = value * 10 ** digits, low = Math.floor(steps);
  const half = Number.isInteger(value * 2 ** (digits + 1)) && steps - low === 0.5; // only so is the number itself a half, not just near one
  return half ? (low + (low % 2 === 0 ? 0 : 1)) / 10 ** digits : Number(value.toFixed(digits));
}

/**
 * @param {Compression | null} compression
 * @returns {Compression | null}
 * @throws UpscaleError it is none.
 */
export function checkedCompression(compression) {
  if (compression === null) return null;
  check('format', checkOptions('compression is null or', compression, COMPRESSION).format, FORMAT);
  return compression;
}
