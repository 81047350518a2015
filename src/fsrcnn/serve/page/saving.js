// Results on their way out: a file, the clipboard, a zip, a folder.

import {fileName, free} from './names.js';
import {words} from './strings.js';
import {zip} from './zip.js';

/** @typedef {import('./queue.js').Item} Item @typedef {import('./queue.js').Result} Result */

/** As a download. @param {Blob} blob @param {string} name */
export function download(blob, name) {
  const link = document.createElement('a'), url = URL.createObjectURL(blob);
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000); // when the browser has begun to read it
}

/** Into the clipboard, as PNG, which is what clipboards take. @param {Blob} blob */
export async function copyPicture(blob) {
  if (typeof ClipboardItem === 'undefined' || !navigator.clipboard?.write) throw new Error(words.cannotCopy);
  await navigator.clipboard.write([new ClipboardItem({'image/png': blob.type === 'image/png' ? blob : asPng(blob)})]);
}

/** @param {Blob} blob @returns {Promise<Blob>} */
async function asPng(blob) {
  const bitmap = await createImageBitmap(blob), canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext('2d')).drawImage(bitmap, 0, 0);
  return canvas.convertToBlob({type: 'image/png'});
}

/** All in one file, folders kept, names made unique. @param {Item[]} items that are done @param {(done: number) => void} onProgress */
export async function zipped(items, onProgress) {
  const taken = new Set(), entries = [];
  for (const {folder, result} of items) {
    const {blob, name} = /** @type {Result} */ (result);
    const place = folder.split('/').map(fileName).join('/');
    const unique = await free(fileName(name), (other) => taken.has(`${place}${other}`.toLowerCase())); // some systems know no case
    taken.add(`${place}${unique}`.toLowerCase());
    entries.push({name: `${place}${unique}`, blob, modified: new Date()});
  }
  return zip(entries, {onProgress});
}

/** Whether this browser writes into folders. */
export const foldersAreWritten = 'showDirectoryPicker' in globalThis;

/** Ask for a folder to write into. @returns {Promise<any>} */
export async function folderChosen() {
  return /** @type {any} */ (globalThis).showDirectoryPicker({id: 'results', mode: 'readwrite'});
}

/**
 * Into a folder, beside what is there: a name that is taken gets a number. From then on the result is that file, and no memory is held.
 * @param {any} folder a FileSystemDirectoryHandle @param {Item} item that is done
 */
export async function saveInto(folder, item) {
  const result = /** @type {Result} */ (item.result);
  let place = folder;
  for (const part of item.folder.split('/').filter(Boolean)) place = await place.getDirectoryHandle(fileName(part), {create: true});
  const name = await free(fileName(result.name), (other) => exists(place, other));
  const handle = await place.getFileHandle(name, {create: true});
  try {
    const writable = await handle.createWritable();
    await result.blob.stream().pipeTo(writable); // closes it, or aborts it where something fails
  } catch (error) {
    await place.removeEntry(name).catch(() => {}); // the empty file that a name makes
    throw error;
  }
  result.blob = await handle.getFile();
}

/** @param {any} folder @param {string} name */
async function exists(folder, name) {
  try {
    await folder.getFileHandle(name);
    return true;
  } catch (error) {
    if (/** @type {any} */ (error).name === 'TypeMismatchError') return true; // a folder
    if (/** @type {any} */ (error).name === 'NotFoundError') return false;
    throw error;
  }
}
