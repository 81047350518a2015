// Pictures that come in: dropped, chosen, pasted; of folders with all that lies in them.

import {isPicture} from './names.js';
import {words} from './strings.js';

/** @typedef {{file: File, folder: string}} Picture `folder` with / behind, or empty */
/** @typedef {{pictures: Picture[], others: number, unread: string[]}} Found `others`: files of folders that are no pictures; `unread`: names of what could not be read */

/**
 * What was dropped. It must be called within the event: afterwards a browser has forgotten it.
 * @param {DataTransfer} transfer
 * @returns {Promise<Found>}
 */
export async function dropped(transfer) {
  const things = [...transfer.items].filter(({kind}) => kind === 'file').map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  /** @type {Found} */
  const found = {pictures: [], others: 0, unread: []};
  for (const thing of things)
    if (thing instanceof File) found.pictures.push({file: thing, folder: ''});
    else if (thing) await tried(thing, '', found);
  return found;
}

/** @param {any} entry a FileSystemEntry @param {string} folder @param {Found} found */
async function tried(entry, folder, found) {
  try {
    await collect(entry, folder, found);
  } catch {
    found.unread.push(`${folder}${entry.name}`);
  }
}

/** @param {any} entry a FileSystemEntry @param {string} folder @param {Found} found */
async function collect(entry, folder, found) {
  if (entry.isFile) {
    if (folder && !isPicture(entry.name)) found.others++;
    else found.pictures.push({file: await new Promise((resolve, reject) => entry.file(resolve, reject)), folder});
    return;
  }
  const reader = entry.createReader(), entries = [];
  for (;;) {
    /** @type {any[]} */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // up to 100 at a time
    if (some.length === 0) break;
    entries.push(...some);
  }
  entries.sort(byName);
  for (const inner of entries) await tried(inner, `${folder}${entry.name}/`, found);
}

/** Files of an input, those of a folder with the path of each. @param {FileList} files @returns {Found} */
export function chosen(files) {
  const all = [...files].map((file) => ({file, folder: file.webkitRelativePath.slice(0, -file.name.length)}));
  all.sort((a, b) => a.folder.localeCompare(b.folder) || byName(a.file, b.file));
  const pictures = all.filter(({file, folder}) => !folder || isPicture(file.name));
  return {pictures, others: all.length - pictures.length, unread: []};
}

let pastes = 0;

/** @param {DataTransfer | null} clipboard @returns {Found} */
export function pasted(clipboard) {
  const pictures = [...(clipboard?.files ?? [])].map((file) => {
    if (file.name !== 'image.png') return {file, folder: ''};
    const name = words.pasted(++pastes, 'png'); // browsers call each picture of the clipboard alike
    return {file: new File([file], name, {type: file.type}), folder: ''};
  });
  return {pictures, others: 0, unread: []};
}

/** @param {{name: string}} a @param {{name: string}} b */
function byName(a, b) {
  return a.name.localeCompare(b.name, undefined, {numeric: true});
}
