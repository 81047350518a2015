// Named float32 arrays with their architecture, from a safetensors file of fsrcnn (src/fsrcnn/weights.py writes them).

import {UpscaleError} from './errors.js';

const LARGEST_FILE = 64 * 2 ** 20; // bytes; the paper's network takes 55 kB
const LARGEST_FIELD = 1024;

/**
 * The numbers that define one network, FSRCNN(d, s, m).
 * @typedef {{d: number, s: number, m: number, feature_kernel: number, deconvolution_kernel: number, scale: number, crop: number}} Architecture
 */

/** @typedef {{name: string, channelsIn: number, channelsOut: number, kernel: number}} Stage */

/** @typedef {{architecture: Architecture, arrays: Map<string, Float32Array>}} Weights */

/**
 * The convolutions in their order; the deconvolution comes last and is not among them.
 * @param {Architecture} architecture
 * @returns {Stage[]}
 */
export function convolutions({d, s, m, feature_kernel}) {
  return [
    {name: 'feature_extraction', channelsIn: 1, channelsOut: d, kernel: feature_kernel},
    {name: 'shrinking', channelsIn: d, channelsOut: s, kernel: 1},
    ...Array.from({length: m}, (_, i) => ({name: `mapping.${i}`, channelsIn: s, channelsOut: s, kernel: 3})),
    {name: 'expanding', channelsIn: s, channelsOut: d, kernel: 1},
  ];
}

/**
 * LR pixels on each side of a region that its HR pixels can depend on.
 * @param {Architecture} architecture
 */
export function halo(architecture) {
  const {deconvolution_kernel: side, crop, scale} = architecture;
  const before = convolutions(architecture).reduce((sum, stage) => sum + (stage.kernel >> 1), 0);
  return before + Math.max(Math.floor((side - 1 - crop) / scale), Math.floor((scale - 1 + crop) / scale));
}

/**
 * Name and length of every array, in the order of computation.
 * @param {Architecture} architecture
 * @returns {Map<string, number>}
 */
export function arrayLengths(architecture) {
  /** @type {Map<string, number>} */
  const lengths = new Map();
  for (const {name, channelsIn, channelsOut, kernel} of convolutions(architecture)) {
    lengths.set(`${name}.weight`, channelsIn * channelsOut * kernel ** 2);
    lengths.set(`${name}.bias`, channelsOut);
    lengths.set(`${name}.prelu`, channelsOut);
  }
  lengths.set('deconvolution.weight', architecture.d * architecture.deconvolution_kernel ** 2);
  lengths.set('deconvolution.bias', 1);
  return lengths;
}

/**
 * The weights in a safetensors file: the header's length in 8 bytes (little endian), the header in JSON, the arrays.
 * @param {Uint8Array} data
 * @param {string} source names the file in errors
 * @returns {Weights}
 */
export function parse(data, source) {
  if (data.length > LARGEST_FILE) throw new UpscaleError(`${source} has ${data.length} bytes, far more than any of fsrcnn`);
  /** @type {Record<string, any>} */
  let header = {};
  let start = 0;
  try {
    start = 8 + Number(new DataView(data.buffer, data.byteOffset).getBigUint64(0, true));
    header = JSON.parse(new TextDecoder('utf-8', {fatal: true}).decode(data.subarray(8, start)));
    if (![header, header.__metadata__ ?? {}].every((part) => Object.getPrototypeOf(part) === Object.prototype)) throw new Error('no objects');
  } catch (cause) {
    throw new UpscaleError(`${source} is not in the format safetensors`, {cause});
  }
  const metadata = header.__metadata__ ?? {};
  const kind = metadata['fsrcnn.kind'] ?? 'fsrcnn';
  if (kind === 'fsrcnn-integer') throw new UpscaleError(`${source} is an integer model, and float weights are needed here; give the weights that it was made of`);
  if (kind !== 'fsrcnn') throw new UpscaleError(`${source} holds a network of kind ${kind}; here only fsrcnn is known`);
  if (!('fsrcnn.architecture' in metadata)) throw new UpscaleError(`${source} holds arrays but says no architecture, so it is none of fsrcnn`);
  const architecture = checked(metadata['fsrcnn.architecture'], source);
  const lengths = arrayLengths(architecture);
  /** @type {Map<string, Float32Array>} */
  const arrays = new Map();
  for (const [name, length] of lengths) {
    const entry = header[name];
    if (!entry) throw new UpscaleError(`${source} misses the array ${name}`);
    const [from, to] = Array.isArray(entry.data_offsets) ? entry.data_offsets : [];
    if (entry.dtype !== 'F32' || ![from, to].every(Number.isSafeInteger) || from < 0 || to - from !== 4 * length || start + to > data.length)
      throw new UpscaleError(`${source}: ${name} does not fit the architecture, or is not float32`);
    const array = new Float32Array(data.slice(start + from, start + to).buffer);
    if (!array.every(Number.isFinite)) throw new UpscaleError(`${source}: ${name} holds NaN or infinity`);
    arrays.set(name, array);
  }
  const surplus = Object.keys(header).find((name) => name !== '__metadata__' && !lengths.has(name));
  if (surplus !== undefined) throw new UpscaleError(`${source} holds an array ${surplus} that its architecture does not have`);
  return {architecture, arrays};
}

/**
 * @param {string} text @param {string} source
 * @returns {Architecture}
 */
function checked(text, source) {
  /** @type {any} */
  let found = null;
  try {
    found = JSON.parse(text);
  } catch {
    // said below
  }
  const names = ['d', 's', 'm', 'feature_kernel', 'deconvolution_kernel', 'scale', 'crop'];
  const legal =
    found !== null && typeof found === 'object' &&
    Object.keys(found).length === names.length &&
    names.every((name) => Number.isInteger(found[name]) && found[name] >= 0 && found[name] <= LARGEST_FIELD) &&
    found.d >= 1 && found.s >= 1 && found.feature_kernel % 2 === 1 && found.deconvolution_kernel % 2 === 1 &&
    found.scale >= 2 && found.scale <= 4 && found.deconvolution_kernel >= found.scale && found.crop <= found.deconvolution_kernel - found.scale;
  if (!legal) throw new UpscaleError(`${source} describes no legal architecture`);
  return found;
}

/**
 * Between two networks of one architecture: each number is (1 - strength) · first + strength · second.
 * @param {Weights} first @param {Weights} second @param {number} strength 0 to 1
 * @returns {Weights}
 */
export function averaged(first, second, strength) {
  const one = Math.fround(1 - strength), other = Math.fround(strength);
  /** @type {Map<string, Float32Array>} */
  const arrays = new Map();
  for (const [name, array] of first.arrays) {
    const far = /** @type {Float32Array} */ (second.arrays.get(name));
    arrays.set(name, array.map((value, i) => Math.fround(one * value) + Math.fround(other * far[i])));
  }
  return {architecture: first.architecture, arrays};
}
