// A worker that resizes bicubically as MATLAB's `imresize` does, as src/fsrcnn/imresize.py has it: a window of the result at a time, so
// that of a large picture only that is computed which is looked at. Whole numbers are clipped and rounded after each of the two passes.

const KERNEL_WIDTH = 4;

/**
 * @typedef {{data: Uint8ClampedArray, width: number, height: number}} Picture RGBA
 * @typedef {{left: number, top: number, width: number, height: number}} Box
 */

/**
 * For outputs from … to-1 along an axis, which inputs each of them sums and with which weights, `taps` of each.
 * @param {number} before input pixels along the axis @param {number} after output pixels along the axis
 * @param {number} from @param {number} to
 */
function contributions(before, after, from, to) {
  const scale = after / before, shrink = Math.min(scale, 1), width = KERNEL_WIDTH / shrink;
  const taps = Math.ceil(width) + 2;
  const weights = new Float64Array((to - from) * taps), indices = new Int32Array((to - from) * taps);
  for (let i = from, k = 0; i < to; i++, k += taps) {
    const u = (i + 1) / scale + 0.5 * (1 - 1 / scale), left = Math.floor(u - width / 2);
    let sum = 0;
    for (let t = 0; t < taps; t++) sum += weights[k + t] = shrink * cubic(shrink * (u - (left + t)));
    for (let t = 0; t < taps; t++) {
      weights[k + t] /= sum;
      const period = 2 * before, at = (((left + t - 1) % period) + period) % period;
      indices[k + t] = at < before ? at : period - 1 - at; // … 2 1 1 2 3 …
    }
  }
  return {taps, weights, indices};
}

/** Keys' cubic convolution kernel, a = -0.5. @param {number} x */
function cubic(x) {
  const x1 = Math.abs(x), x2 = x1 * x1, x3 = x2 * x1;
  if (x1 <= 1) return 1.5 * x3 - 2.5 * x2 + 1;
  return x1 <= 2 ? -0.5 * x3 + 2.5 * x2 - 4 * x1 + 2 : 0;
}

/**
 * A window of the picture resized to `width` × `height`.
 * @param {Picture} picture @param {number} width @param {number} height @param {Box} box within the result
 * @returns {Picture}
 */
export function resized(picture, width, height, box) {
  const right = box.left + box.width, bottom = box.top + box.height;
  const across = contributions(picture.width, width, box.left, right), down = contributions(picture.height, height, box.top, bottom);
  const multiplied = !isOpaque(picture.data); // colours under alpha 0 must not bleed
  const source = multiplied ? {...picture, data: times(picture.data)} : picture;
  const rows = span(down.indices), columns = span(across.indices);
  let result;
  if (height / picture.height <= width / picture.width) {
    // MATLAB begins with the dimension that shrinks most, with the rows where both do alike.
    const between = alongColumns(source, columns, down, box.height);
    result = alongRows(between, -columns[0], across, box.width, 0, box.height);
  } else {
    const between = alongRows(source, 0, across, box.width, rows[0], rows[1]);
    result = alongColumns(between, [0, box.width], shifted(down, rows[0]), box.height);
  }
  return multiplied ? {...result, data: divided(result.data)} : result;
}

/** The first and the last index, plus 1. @param {Int32Array} indices @returns {[number, number]} */
function span(indices) {
  let first = Infinity, last = 0;
  for (const index of indices) {
    first = Math.min(first, index);
    last = Math.max(last, index + 1);
  }
  return [first, last];
}

/** @typedef {ReturnType<typeof contributions>} Taps */

/** Taps that count their inputs from another one on. @param {Taps} taps @param {number} start @returns {Taps} */
function shifted(taps, start) {
  return {...taps, indices: taps.indices.map((index) => index - start)};
}

/**
 * Each column, from `from` to `to`-1, resized.
 * @param {Picture} picture @param {[number, number]} columns @param {Taps} taps @param {number} height
 * @returns {Picture}
 */
function alongColumns(picture, [from, to], {taps, weights, indices}, height) {
  const length = 4 * (to - from), data = new Uint8ClampedArray(length * height), row = new Float64Array(length);
  for (let y = 0; y < height; y++) {
    row.fill(0);
    for (let t = 0; t < taps; t++) {
      const weight = weights[y * taps + t], start = 4 * (indices[y * taps + t] * picture.width + from);
      if (weight !== 0) for (let x = 0; x < length; x++) row[x] += picture.data[start + x] * weight;
    }
    for (let x = 0; x < length; x++) data[y * length + x] = Math.floor(row[x] + 0.5);
  }
  return {data, width: to - from, height};
}

/**
 * Each row, from `top` to `bottom`-1, resized.
 * @param {Picture} picture @param {number} shift what is added to indices @param {Taps} taps @param {number} width @param {number} top @param {number} bottom
 * @returns {Picture}
 */
function alongRows(picture, shift, {taps, weights, indices}, width, top, bottom) {
  const data = new Uint8ClampedArray(4 * width * (bottom - top));
  for (let y = top, to = 0; y < bottom; y++) {
    const start = 4 * (y * picture.width + shift);
    for (let x = 0, k = 0; x < width; x++, to += 4) {
      let r = 0, g = 0, b = 0, a = 0;
      for (let t = 0; t < taps; t++, k++) {
        const weight = weights[k], from = start + 4 * indices[k];
        r += picture.data[from] * weight;
        g += picture.data[from + 1] * weight;
        b += picture.data[from + 2] * weight;
        a += picture.data[from + 3] * weight;
      }
      data[to] = Math.floor(r + 0.5);
      data[to + 1] = Math.floor(g + 0.5);
      data[to + 2] = Math.floor(b + 0.5);
      data[to + 3] = Math.floor(a + 0.5);
    }
  }
  return {data, width, height: bottom - top};
}

/** @param {Uint8ClampedArray} data */
function isOpaque(data) {
  for (let i = 3; i < data.length; i += 4) if (data[i] !== 255) return false;
  return true;
}

/** Colours times alpha. @param {Uint8ClampedArray} data */
function times(data) {
  const result = new Uint8ClampedArray(data.length);
  for (let i = 0; i < data.length; i++) result[i] = i % 4 === 3 ? data[i] : (data[i] * data[i | 3]) / 255;
  return result;
}

/** And back. @param {Uint8ClampedArray} data */
function divided(data) {
  return data.map((value, i) => (i % 4 === 3 || data[i | 3] === 0 ? value : (255 * value) / data[i | 3]));
}

/** @param {Blob} file @returns {Promise<Picture>} */
async function pixelsOf(file) {
  const bitmap = await createImageBitmap(file), {width, height} = bitmap;
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (new OffscreenCanvas(width, height).getContext('2d', {willReadFrequently: true}));
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return {data: context.getImageData(0, 0, width, height).data, width, height};
}

/** @type {Promise<Picture>} */
let picture;

// Asked with {file} once, then with {width, height, box}; answers the same, and the bitmap of the window.
globalThis.onmessage = async ({data: {file, width, height, box}}) => {
  if (file) picture = pixelsOf(file);
  else {
    const window = resized(await picture, width, height, box);
    const bitmap = await createImageBitmap(new ImageData(/** @type {any} */ (window.data), window.width, window.height));
    /** @type {any} */ (globalThis).postMessage({width, height, box, bitmap}, [bitmap]);
  }
};
