// The page: what is clicked, dropped and typed, to what is done about it.

import {byId, icon} from './element.js';
import {facts} from './facts.js';
import * as inBrowser from './in_browser.js';
import {chosen, dropped, pasted} from './intake.js';
import {List} from './list.js';
import * as onServer from './on_server.js';
import {OptionsForm} from './options.js';
import {Queue} from './queue.js';
import {copyPicture, download, folderChosen, foldersAreWritten, saveInto, zipped} from './saving.js';
import {keep, kept} from './settings.js';
import {labels, words} from './strings.js';
import {beginTheme} from './theme.js';
import {Viewer} from './viewer.js';

/** @typedef {import('./queue.js').Item} Item @typedef {import('./options.js').Options['where']} Where */

const QUIET = 10_000; // milliseconds between two announcements of progress
const OFTEN = 100; // milliseconds between two sums of it
const MANY = 12; // pictures, of which not all are seen at a time

for (const place of document.querySelectorAll('[data-word]')) place.textContent = labels[/** @type {HTMLElement} */ (place).dataset.word ?? ''];
for (const place of document.querySelectorAll('[data-label]')) place.setAttribute('aria-label', labels[/** @type {HTMLElement} */ (place).dataset.label ?? '']);

// What people see and hear of events.

/** To be read aloud. @param {string} text */
function announce(text) {
  byId('status').textContent = text;
}

/** To be seen, too. @param {string} text */
function tell(text) {
  byId('news').textContent = text;
  byId('news').hidden = !text;
  announce(text);
}

/** Do something, and say what went wrong. @param {() => unknown} action */
async function attempt(action) {
  try {
    await action();
  } catch (error) {
    if (/** @type {any} */ (error)?.name !== 'AbortError') tell(words.sentence(error)); // AbortError: the person changed their mind
  }
}

// The parts.

beginTheme();
const queue = new Queue({browser: inBrowser.browser, server: onServer.server});
const form = new OptionsForm(byId('options-form'));
const viewer = new Viewer();
/** Why pictures cannot be computed there; undefined until it is known. @type {Record<Where, string | undefined>} */
const obstacles = {browser: undefined, server: undefined};
/** @type {Item | null} */
let shown = null;

const list = new List(
  byId('items'),
  {
    show,
    cancel: (item) => queue.cancel(item),
    retry: (item) => retry([item]),
    remove: (item) => queue.remove((other) => other === item),
    save: (item) => saveOne(item),
    onServer: (item) => queue.retry(item, onServer.asked(item.options)),
  },
  () => (obstacles.server === '' ? words.onServer(onServer.host) : ''),
);

// Where it computes.

byId('where-server').textContent = words.onServer(onServer.host);

/** @returns {HTMLInputElement[]} */
function places() {
  return [...document.querySelectorAll('input[name=where]')].map((input) => /** @type {HTMLInputElement} */ (input));
}

/** Why nothing can be computed with what is chosen now; empty where it can. */
function problem() {
  return obstacles.browser && obstacles.server ? nowhere() : form.problem;
}

/** Why nothing can be computed at all. */
function nowhere() {
  return obstacles.browser === words.noEngine ? words.nowhere : `${obstacles.browser} ${obstacles.server}`;
}

/** @param {Where} where */
function computeAt(where) {
  form.computeAt(where, where === 'server' ? onServer.machine.precisions : inBrowser.PRECISIONS);
  for (const input of places()) input.checked = input.value === where;
  byId('where-note').textContent = where === 'browser' ? words.browserNote : words.serverNote(onServer.host);
}

for (const input of places())
  input.addEventListener('change', () => {
    computeAt(/** @type {Where} */ (input.value));
    keep('where', input.value);
  });

/** Offer what can compute, and say why the rest cannot. */
function offer() {
  for (const input of places()) input.disabled = Boolean(obstacles[/** @type {Where} */ (input.value)]);
  const said = obstacles.server && obstacles.browser ? nowhere() : obstacles.browser || obstacles.server;
  byId('where-obstacle').textContent = said ?? '';
  byId('where-obstacle').hidden = !said;
  byId('api').hidden = obstacles.server !== '';
}

async function look() {
  [obstacles.server, obstacles.browser] = await Promise.all([onServer.obstacle(), inBrowser.obstacle()]);
  offer();
  const last = kept('where');
  const wanted = last === 'browser' || last === 'server' ? last : onServer.host ? 'browser' : 'server'; // on this computer nothing leaves it either, and it is faster
  const other = wanted === 'server' ? 'browser' : 'server';
  computeAt(/** @type {Where} */ (obstacles[/** @type {Where} */ (wanted)] ? other : wanted));
}

const looked = look();
document.addEventListener('visibilitychange', async () => {
  await looked;
  if (document.visibilityState !== 'visible' || !obstacles.server) return;
  obstacles.server = await onServer.obstacle(); // it may have been started meanwhile
  if (!obstacles.server && obstacles.browser) computeAt('server');
  offer();
});

// Pictures that come in.

/** @param {Promise<import('./intake.js').Found> | import('./intake.js').Found} coming */
async function take(coming) {
  const {pictures, others, unread} = await coming;
  await looked;
  if (pictures.length > 0) queue.add(pictures, form.options, problem());
  if (form.problem) byId('options').open = true;
  const said = [pictures.length > 0 ? words.added(pictures.length) : words.nothingFound, others > 0 && words.leftOut(others), unread.length > 0 && words.unread(unread)];
  tell(said.filter(Boolean).join(' '));
}

for (const [button, input] of [['choose-files', 'files'], ['choose-folder', 'folder']]) {
  byId(button).addEventListener('click', () => byId(input).click());
  byId(input).addEventListener('change', () => {
    attempt(() => take(chosen(byId(input).files)));
    byId(input).value = ''; // the same file can be chosen again
  });
}
byId('choose-folder').hidden = !('webkitdirectory' in HTMLInputElement.prototype);

let depth = 0; // elements under the pointer that a drag has entered and not left
/** @param {DragEvent} event @returns {boolean} */
function hasFiles(event) {
  return event.dataTransfer?.types.includes('Files') ?? false;
}

document.addEventListener('dragenter', (event) => {
  if (!hasFiles(event)) return;
  depth++;
  byId('curtain').hidden = false;
});
document.addEventListener('dragleave', () => {
  depth = Math.max(0, depth - 1);
  if (depth === 0) byId('curtain').hidden = true;
});
document.addEventListener('dragover', (event) => hasFiles(event) && event.preventDefault());
document.addEventListener('drop', (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  depth = 0;
  byId('curtain').hidden = true;
  if (event.dataTransfer) attempt(() => take(dropped(/** @type {DataTransfer} */ (event.dataTransfer))));
});
document.addEventListener('paste', (event) => {
  if ((event.clipboardData?.files.length ?? 0) > 0) attempt(() => take(pasted(event.clipboardData)));
});

// Options.

form.addEventListener('change', () => (byId('options-summary').textContent = form.summary));
byId('options-summary').textContent = form.summary;

// The queue.

/** When the work under way began, and what was done of it before. @type {{time: number, done: number} | null} */
let work = null;
let announced = 0;

/** @param {(item: Item) => boolean} which */
function count(which) {
  return queue.items.filter(which).length;
}

/** What is done of all, in bytes of pictures, which foretells time better than their number. @param {Item} item */
function doneOf({file, progress, active}) {
  return file.size * (active ? progress : 1);
}

function sum() {
  const {items} = queue;
  const busy = items.some(({active}) => active), all = items.reduce((total, {file}) => total + file.size, 0) || 1;
  const done = items.reduce((total, item) => total + doneOf(item), 0);
  if (busy && !work) work = {time: performance.now(), done};
  const isOver = !busy && work !== null;
  const seconds = work && (performance.now() - work.time) / 1000;
  const left = work && seconds && seconds > 2 && done > work.done ? (seconds * (all - done)) / (done - work.done) : null;
  if (!busy) work = null;

  const finished = count(({state}) => state === 'done'), failed = count(({state}) => state === 'failed');
  byId('queue').hidden = items.length === 0;
  document.body.classList.toggle('filled', items.length > 0);
  byId('tally').textContent = words.tally(finished, items.length, failed);
  byId('to-queue').textContent = words.toQueue(words.tally(finished, items.length, failed));
  byId('progress').value = done / all;
  byId('progress').hidden = !busy;
  document.title = words.title(busy ? words.percent(done / all) : '');
  byId('remaining').textContent = busy && left !== null ? words.left(left) : '';
  byId('remaining').hidden = !busy;
  byId('cancel-all').hidden = !busy;
  byId('first-failed').hidden = failed === 0 || items.length < MANY;
  byId('retry-failed').hidden = failed + count(({state}) => state === 'cancelled') === 0;
  byId('zip').hidden = finished === 0;
  byId('save-folder').hidden = !foldersAreWritten;
  byId('forget').hidden = count(({saved}) => saved) === 0;
  const held = (/** @type {(item: Item) => boolean} */ which) => items.filter(which).reduce((total, {result}) => total + (result?.blob.size ?? 0), 0);
  const inMemory = (/** @type {Item} */ {result}) => result !== null && !(result.blob instanceof File);
  byId('held').textContent = held(inMemory) > 0 ? words.held(held(inMemory), held((item) => inMemory(item) && item.saved)) : '';
  if (isOver && finished + failed > 0) announce(words.finished(finished, failed));
  else if (busy && performance.now() - announced > QUIET) {
    if (announced) announce(words.tally(finished, items.length, failed));
    announced = performance.now();
  }
}

let summing = false;
function changed() {
  if (summing) return;
  summing = true;
  setTimeout(() => {
    summing = false;
    sum();
  }, OFTEN);
}

queue.addEventListener('change', (event) => {
  const item = /** @type {CustomEvent<Item>} */ (event).detail;
  list.update(item);
  if (item === shown && item.state !== 'done') show(null);
  if (!shown && item.state === 'done') show(item);
  if (folder && item.state === 'done') saveAll();
  changed();
});
queue.addEventListener('order', () => {
  list.arrange(queue.items);
  if (shown && !queue.items.includes(shown)) show(queue.items.find(({state}) => state === 'done') ?? null);
  changed();
});
byId('progress').setAttribute('aria-label', words.allProgress);
byId('cancel-all').addEventListener('click', () => queue.items.filter(({active}) => active).reverse().forEach((item) => queue.cancel(item))); // the last first: none begins meanwhile
byId('first-failed').addEventListener('click', () => list.go(queue.items.find(({state}) => state === 'failed')));
byId('retry-failed').addEventListener('click', () => retry(queue.items.filter(({state}) => state === 'failed' || state === 'cancelled')));

/** With the options of this moment; where they are not right nothing is tried, and what there is stays. @param {Item[]} items */
function retry(items) {
  if (form.problem) byId('options').open = true;
  if (problem()) tell(words.asLine(problem()));
  else for (const item of items) queue.retry(item, form.options);
}
byId('forget').addEventListener('click', () => queue.remove(({saved}) => saved));
byId('clear').addEventListener('click', () => queue.remove(() => true));

// The viewer.

/** @param {Item | null} item that is done */
function show(item) {
  shown = item;
  list.mark(item);
  byId('viewer').hidden = !item;
  if (item) {
    byId('shown-name').textContent = item.result?.name ?? '';
    byId('facts').replaceChildren(...facts(item, (text) => attempt(() => copyText(text))));
  }
  viewer.show(item);
}

/** Show the next picture that is done, or the one before. @param {1 | -1} step */
function turn(step) {
  const done = results(), at = shown ? done.indexOf(shown) : -1;
  show(done[(at + step + done.length) % done.length] ?? null);
}

byId('previous').append(icon('left'));
byId('next').append(icon('right'));
byId('previous').addEventListener('click', () => turn(-1));
byId('next').addEventListener('click', () => turn(1));

/** @param {string} text */
async function copyText(text) {
  if (!navigator.clipboard) throw new Error(words.cannotCopyText);
  await navigator.clipboard.writeText(text);
  tell(words.copied);
}

byId('save').addEventListener('click', () => shown && saveOne(shown));
byId('copy').addEventListener('click', () =>
  attempt(async () => {
    if (!shown?.result) return;
    tell(words.copying);
    await copyPicture(shown.result.blob);
    tell(words.copyPicture(shown.result.name));
  }),
);

// Saving.

/** @param {Item} item */
function saveOne(item) {
  if (!item.result) return;
  download(item.result.blob, item.result.name);
  saved(item);
}

/** @param {Item} item */
function saved(item) {
  item.saved = true;
  list.update(item);
  changed();
}

/** All that are done. */
function results() {
  return queue.items.filter(({result}) => result !== null);
}

byId('zip').addEventListener('click', () =>
  attempt(async () => {
    const items = results();
    byId('zip').disabled = true;
    try {
      const archive = await zipped(items, (done) => (byId('remaining').textContent = words.zipping(done)));
      download(archive, words.archive);
      items.forEach(saved);
      tell(words.zipped(items.length));
    } finally {
      byId('zip').disabled = false;
    }
  }),
);
/** What goes wrong with a whole folder: it may not be written, it is gone, its disk is full. */
const OF_FOLDER = ['NotAllowedError', 'NoModificationAllowedError', 'NotFoundError', 'QuotaExceededError'];
/** Where results are saved as they get done. @type {any} */
let folder = null;
let saving = Promise.resolve();

/** Save what is not saved yet, one after the other. */
function saveAll() {
  saving = saving.then(async () => {
    for (const item of results()) {
      if (!folder || item.saved) continue;
      try {
        await saveInto(folder, item);
        saved(item);
      } catch (error) {
        if (OF_FOLDER.includes(/** @type {any} */ (error)?.name)) folder = null; // asked for anew; of a single result the others are saved
        tell(words.notIntoFolder(item.file.name, words.sentence(error)));
      }
    }
  });
}

byId('save-folder').addEventListener('click', () =>
  attempt(async () => {
    folder ??= await folderChosen();
    tell(words.intoFolder(folder.name));
    saveAll();
  }),
);

window.addEventListener('beforeunload', (event) => {
  if (queue.items.some(({active, result, saved}) => active || (result && !saved))) event.preventDefault();
});

if ('serviceWorker' in navigator) navigator.serviceWorker.register('service_worker.js').catch(() => {}); // without it, the page needs its host
