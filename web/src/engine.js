// The engine of native/ as a module of WebAssembly, behind its C ABI (native/fsrcnn_engine.h): a network, and pictures through it.

import {GREY_GAIN, GREY_OFFSET, TO_RGB, TO_RGB_OFFSET, TO_YCBCR, TO_YCBCR_OFFSET, peakOf} from './colour.js';
import {UpscaleError} from './errors.js';
import {FEATURE_LEVELS, INPUT_LEVELS} from './fixed_point.js';

const ABI = 2, OK = 0, FULL = 1, RGB = 2; // as in native/fsrcnn_engine.h

/**
 * A network as the engine takes it: `arrays` for exact, `integers` and `multipliers` for fast.
 * @typedef {{architecture: import('./weights.js').Architecture, arrays?: Float32Array, integers?: Int32Array, multipliers?: Float32Array}} Network
 */

/** Writes a struct of C, each field where the ABI of wasm32 has it. */
class Struct {
  /** @param {Memory} memory @param {number} bytes */
  constructor(memory, bytes) {
    this.address = memory.take(bytes);
    this.view = new DataView(memory.buffer, this.address, bytes);
    this.next = 0;
  }
  /** @param {number} size */
  field(size) {
    const at = Math.ceil(this.next / size) * size;
    this.next = at + size;
    return at;
  }
  /** @param {number[]} values also pointers */
  int32(...values) {
    for (const value of values) this.view.setInt32(this.field(4), value, true);
    return this;
  }
  /** @param {number[]} values */
  int64(...values) {
    for (const value of values) this.view.setBigInt64(this.field(8), BigInt(value), true);
    return this;
  }
  /** @param {Iterable<number>} values */
  float32(values) {
    for (const value of values) this.view.setFloat32(this.field(4), value, true);
    return this;
  }
  /** @param {number[]} values */
  float64(...values) {
    for (const value of values) this.view.setFloat64(this.field(8), value, true);
    return this;
  }
}

/** What one call takes of the module's memory, and gives back. */
class Memory {
  /** @param {any} module */
  constructor(module) {
    this.module = module;
    /** @type {number[]} */
    this.taken = [];
  }
  get buffer() {
    return this.module.memory.buffer;
  }
  /** @param {number} bytes */
  take(bytes) {
    const address = bytes < 2 ** 32 - 2 ** 20 ? this.module.malloc(bytes) >>> 0 : 0;
    if (address === 0) throw new UpscaleError(`there are no ${Math.ceil(bytes / 2 ** 20)} MB of memory left for WebAssembly: take a smaller picture`);
    this.taken.push(address);
    return address;
  }
  /** @param {ArrayBufferView} values */
  copy(values) {
    const address = this.take(Math.max(values.byteLength, 1));
    new Uint8Array(this.buffer, address).set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    return address;
  }
  release() {
    for (const address of this.taken) this.module.free(address);
  }
}

export class Engine {
  /** @param {WebAssembly.Module} code @param {Network} network */
  constructor(code, network) {
    const {architecture, arrays, integers, multipliers} = network;
    this.architecture = architecture;
    /** @type {any} */
    this.module = new WebAssembly.Instance(code, imports(code)).exports;
    this.module._initialize();
    const {d, s, m, feature_kernel, deconvolution_kernel, scale, crop} = architecture;
    this.handle = this.withMemory((memory) => {
      const pointers = [arrays, integers, multipliers].map((values) => (values ? memory.copy(values) : 0));
      const instructionSet = memory.copy(new TextEncoder().encode('wasm\0'));
      const result = memory.take(4);
      const given = new Struct(memory, 80);
      given.int32(d, s, m, feature_kernel, deconvolution_kernel, scale, crop, integers ? 1 : 0, ...pointers);
      given.int64(arrays?.length ?? 0, integers?.length ?? 0, multipliers?.length ?? 0).float32([INPUT_LEVELS]).int32(FEATURE_LEVELS);
      this.check(this.module.fsrcnn_create(ABI, given.address, instructionSet, result));
      return new DataView(memory.buffer).getUint32(result, true);
    });
  }

  /**
   * Packed samples (grey, grey + alpha, RGB or RGBA) to `scale` times as many rows and columns.
   * @template {import('./colour.js').Samples} S
   * @param {S} samples @param {number} channels @param {number} height @param {number} width
   * @param {import('./imresize.js').Taps} rows @param {import('./imresize.js').Taps} columns
   * @param {number} from @param {number} to LR rows whose HR rows are wanted
   * @returns {S}
   */
  picture(samples, channels, height, width, rows, columns, from, to) {
    return this.withMemory((memory) => {
      const {scale} = this.architecture;
      const size = samples.BYTES_PER_ELEMENT, colours = channels > 2 ? 3 : 1;
      const lr = this.planes(memory, memory.copy(samples), samples, channels, width);
      const target = memory.take(samples.byteLength * scale ** 2);
      const sr = this.planes(memory, target, samples, channels, scale * width);
      const arrays = [rows, columns].map(({weights, indices}) => [memory.copy(weights), memory.copy(indices)]);
      const colour = new Struct(memory, 176);
      colour.int32(colours === 3 ? RGB : FULL, colours, channels - colours, 1, 1).float32([GREY_OFFSET, GREY_GAIN]);
      for (const values of [TO_YCBCR, TO_YCBCR_OFFSET, TO_RGB, TO_RGB_OFFSET]) colour.float32(values);
      [rows, columns].forEach((taps, i) => {
        colour.field(8);
        colour.next -= 8; // a struct begins where its largest field may
        colour.int32(...arrays[i], taps.taps).int64(taps.length);
      });
      this.check(this.module.fsrcnn_run(this.handle, lr, sr, BigInt(height), BigInt(width), 1, colour.address, 0));
      const row = scale ** 2 * width * channels * size;
      return /** @type {S} */ (new /** @type {any} */ (samples.constructor)(memory.buffer.slice(target + from * row, target + to * row)));
    });
  }

  /**
   * Studio-swing luma to `scale` times as many rows and columns, not clipped.
   * @param {Float32Array} plane @param {number} height @param {number} width
   */
  luma(plane, height, width) {
    return this.withMemory((memory) => {
      const {scale} = this.architecture;
      const lr = this.planes(memory, memory.copy(plane), plane, 1, width, Infinity);
      const target = memory.take(plane.byteLength * scale ** 2);
      const sr = this.planes(memory, target, plane, 1, scale * width, Infinity);
      this.check(this.module.fsrcnn_run(this.handle, lr, sr, BigInt(height), BigInt(width), 1, 0, 0));
      return new Float32Array(memory.buffer.slice(target, target + plane.byteLength * scale ** 2));
    });
  }

  /**
   * @param {Memory} memory @param {number} data @param {import('./colour.js').Samples} samples of its type
   * @param {number} channels @param {number} width @param {number} [largest]
   */
  planes(memory, data, samples, channels, width, largest = peakOf(samples)) {
    const picture = new Struct(memory, 120), size = samples.BYTES_PER_ELEMENT;
    for (let c = 0; c < 4; c++) {
      picture.int32(c < channels ? data + c * size : 0);
      picture.int64(width * channels * size, channels * size);
    }
    picture.int32(channels, samples instanceof Float32Array ? 0 : size).float64(peakOf(samples), largest);
    return picture.address;
  }

  /**
   * @template T
   * @param {(memory: Memory) => T} call
   * @returns {T}
   */
  withMemory(call) {
    const memory = new Memory(this.module);
    try {
      return call(memory);
    } catch (cause) {
      if (cause instanceof WebAssembly.RuntimeError || cause instanceof RangeError) // native/wasm.cpp traps where memory ends
        throw new UpscaleError('the memory of WebAssembly ran out: take a smaller picture', {cause});
      throw cause;
    } finally {
      memory.release();
    }
  }

  /** @param {number} status */
  check(status) {
    if (status === OK) return;
    const bytes = new Uint8Array(this.module.memory.buffer, this.module.fsrcnn_explain(status));
    throw new UpscaleError(`the engine refuses: ${new TextDecoder().decode(bytes.slice(0, bytes.indexOf(0)))}`);
  }
}

/** Functions of an operating system, which the C library wants and nothing here calls. @param {WebAssembly.Module} code */
function imports(code) {
  /** @type {WebAssembly.Imports} */
  const found = {};
  for (const {module, name} of WebAssembly.Module.imports(code))
    (found[module] ??= {})[name] = () => {
      throw new UpscaleError(`the engine has no ${name} here`);
    };
  return found;
}
