/** What goes wrong, in one sentence for people. */
export class UpscaleError extends Error {}

/** The names of the bundled weights, as `fsrcnn-x2`. */
export const MODELS: string[];

/**
 * `auto`, which chooses a family for each picture; a family of bundled weights, one of them, a strength between two of them, or the bytes
 * of a weights file of fsrcnn.
 */
export type Model = string | Uint8Array | ArrayBuffer;

/** Packed samples, row by row, without padding. */
export interface Pixels<Data extends Uint8Array | Uint8ClampedArray | Uint16Array | Float32Array> {
  /** 8 bits, 16 bits, or float32 in 0 … 1. */
  data: Data;
  width: number;
  height: number;
  /** 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA; alpha is not multiplied into the colours. */
  channels: number;
}

/** How large the result shall be: one of a factor, a width and/or a height, or a box to fit into. */
export interface Size {
  /** Above 1, up to 64. */
  factor?: number;
  /** Pixels; where one of both is missing, the shape is kept. */
  width?: number;
  height?: number;
  /** Width and height of a box; the result is the largest of the same shape that fits. */
  fit?: [number, number];
}

/** What a picture's file says of how it was compressed. */
export interface Compression {
  /** `JPEG`, `WebP`, `AVIF`, `HEIC`; of a lossless file, there is no Compression. */
  format: string;
  /** Of a JPEG, 1 to 100: at which libjpeg's tables are as coarse as the file's. Null or left out where the format does not say. */
  quality?: number | null;
}

/** Of a picture, by the model `auto`. */
export interface Choice {
  /** The family. */
  model: string;
  /** In words, those of the command line. */
  reason: string;
  /** Family → gain over bicubic interpolation in dB. */
  expected: Record<string, number>;
  /** Of the luma, standard deviation in 8-bit levels, fine texture counted in. */
  noise: number;
}

export interface LoadOptions {
  /** The factor by which pictures grow where a call says nothing else; above 1, up to 64. That of the weights, 2 for a family. */
  scale?: number;
  /** `fast` (default): 16-bit whole numbers, the bytes of the command line's `--precision fast`. `exact`: float32. */
  precision?: 'fast' | 'exact';
  /** At most so many workers, 1 to 1024, each with a thread and up to some 100 MB; as many as the machine has threads where it is not given. */
  threads?: number;
  /** Where `fsrcnn.wasm` and `models/` lie, an absolute URL: beside the module where it is not given. */
  base?: string | URL;
}

export interface ChooseOptions {
  size?: Size;
  /** What the file said; null or left out where nothing is known, as of the pixels of a canvas. It counts for `auto` alone. */
  compression?: Compression | null;
}

export interface UpscaleOptions extends ChooseOptions {
  /** Rejects the call with the signal's reason. */
  signal?: AbortSignal;
  /** With `auto`, called with what was chosen before the picture is computed. */
  onChoice?: (choice: Choice) => void;
  /** Called with the part that is done, up to 1. */
  onProgress?: (done: number) => void;
}

export class Upscaler {
  private constructor();

  /**
   * Loads the engine and a model.
   * @throws UpscaleError no such model or option; a browser without 128-bit SIMD; a file that cannot be read.
   */
  static load(model?: Model, options?: LoadOptions): Promise<Upscaler>;

  /** The model, in words: a name, `auto`, or `weights`. */
  readonly model: string;
  readonly scale: number;
  readonly precision: 'fast' | 'exact';

  /**
   * A larger picture. What goes in is not changed. An ImageBitmap is read by a canvas, which multiplies its alpha into its colours.
   * @throws UpscaleError what is no picture or option, or a result that does not fit into memory; the signal's reason where that is aborted.
   */
  upscale(picture: ImageData | ImageBitmap, options?: UpscaleOptions): Promise<ImageData>;
  upscale<Data extends Uint8Array | Uint8ClampedArray | Uint16Array | Float32Array>(
    picture: Pixels<Data>,
    options?: UpscaleOptions,
  ): Promise<Pixels<Data>>;

  /**
   * With the model `auto`, the family that `upscale` will take for this picture, and why. Null where no network is run, because the
   * result is no larger, and with any other model.
   * @throws UpscaleError what is no picture or option.
   */
  choose(picture: ImageData | ImageBitmap | Pixels<Uint8Array | Uint8ClampedArray | Uint16Array | Float32Array>, options?: ChooseOptions): Promise<Choice | null>;

  /** Ends the workers. Calls under way are rejected. */
  close(): void;
}
