// EXIF orientation undone.

/** @typedef {{data: Uint8Array | Uint16Array, width: number, height: number, channels: number}} Pixels */

/** The picture upright, of orientation 1 to 8. @param {Pixels} pixels @param {number} orientation @returns {Pixels} */
export function upright(pixels, orientation) {
  if (orientation === 1) return pixels;
  const {data, width, height, channels} = pixels;
  const turned = orientation > 4; // its rows become columns
  const [newWidth, newHeight] = turned ? [height, width] : [width, height];
  const mirroredX = [2, 3, 7, 8].includes(orientation), mirroredY = [3, 4, 6, 7].includes(orientation);
  const result = /** @type {typeof data} */ (new /** @type {any} */ (data.constructor)(data.length));
  for (let y = 0, to = 0; y < newHeight; y += 1) {
    for (let x = 0; x < newWidth; x += 1) {
      const [column, row] = turned ? [y, x] : [x, y];
      const from = channels * ((mirroredY ? height - 1 - row : row) * width + (mirroredX ? width - 1 - column : column));
      for (let c = 0; c < channels; c += 1, to += 1) result[to] = data[from + c];
    }
  }
  return {data: result, width: newWidth, height: newHeight, channels};
}
