// What results are called, and the command that makes them, as the command line has both.

/** @typedef {import('./options.js').Options} Options */

/** Format → the endings of its files; a file that has one keeps it. @type {Record<string, string[]>} */
const ENDINGS = {
  png: ['png'],
  jpg: ['jpg', 'jpeg', 'jpe', 'jfif'],
  webp: ['webp'],
  tif: ['tif', 'tiff'],
  avif: ['avif'],
  gif: ['gif'],
};
const READABLE = [...Object.values(ENDINGS).flat(), 'bmp', 'heic', 'heif'];

/** A name without and with its ending. @param {string} name @returns {[string, string]} */
function split(name) {
  const dot = name.lastIndexOf('.');
  return dot > 0 ? [name.slice(0, dot), name.slice(dot + 1)] : [name, ''];
}

/** Whether a file of a folder is called as a picture is. @param {string} name */
export function isPicture(name) {
  return !name.startsWith('.') && READABLE.includes(split(name)[1].toLowerCase());
}

/** A factor as C's %g writes it. @param {number} factor */
function short(factor) {
  return String(Number(factor.toPrecision(6)));
}

/** A size in a file name: `x2`, `1920x1080` (a box), `w1920`, `h1080`, `w1920h1080`. @param {Options['size']} size */
function markOf({factor, fit, width, height}) {
  if (factor !== undefined) return `x${short(factor)}`;
  if (fit) return fit.join('x');
  return `${width ? `w${width}` : ''}${height ? `h${height}` : ''}`;
}

/** `photo.jpg` → `photo_x2.jpg`. @param {string} name @param {Options['size']} size @param {string} format */
export function resultName(name, size, format) {
  const [stem, ending] = split(name);
  const kept = ENDINGS[format].includes(ending.toLowerCase()) ? ending : format;
  return `${stem}_${markOf(size)}.${kept}`;
}

/**
 * The name, or `name (2).png` and so on, whichever is the first that is free.
 * @param {string} name @param {(name: string) => boolean | Promise<boolean>} isTaken
 */
export async function free(name, isTaken) {
  const [stem, ending] = split(name);
  let found = name;
  for (let number = 2; await isTaken(found); number++) found = `${stem} (${number})${ending && `.${ending}`}`;
  return found;
}

/** The name without what some file systems do not take. @param {string} name */
export function fileName(name) {
  return name.replace(/[\\/:*?"<>|\p{Cc}]/gu, '_').replace(/[. ]+$/, '_');
}

/** The command that makes the same result. @param {string} name of the picture @param {Options} options */
export function command(name, {model, size, precision, format, quality, lossless, page, tolerant}) {
  const {factor, width, height, fit} = size;
  return [
    'fsrcnn upscale',
    quoted(name.startsWith('-') ? `./${name}` : name),
    factor !== undefined && `--scale ${factor}`,
    width && `--width ${width}`,
    height && `--height ${height}`,
    fit && `--fit ${fit.join('x')}`,
    model !== 'auto' && `--model ${model}`,
    precision !== 'exact' && `--precision ${precision}`,
    format && `--format ${format}`,
    quality && `--quality ${quality}`,
    lossless && '--lossless',
    page && `--page ${page}`,
    tolerant && '--tolerant',
  ]
    .filter(Boolean)
    .join(' ');
}

/** For a POSIX shell. @param {string} word */
function quoted(word) {
  return /^[\w.,@%+=:/-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
