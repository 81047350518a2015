// The queue as it is seen: a line for each picture, and what can be done with it.

import {element, icon, iconButton} from './element.js';
import {words} from './strings.js';

/** @typedef {import('./queue.js').Item} Item */
/** @typedef {{show: (item: Item) => void, cancel: (item: Item) => void, retry: (item: Item) => void, remove: (item: Item) => void, save: (item: Item) => void, onServer: (item: Item) => void}} Actions */

const THUMBNAIL = 96; // pixels

export class List {
  /** @param {HTMLElement} place an empty list @param {Actions} actions @param {() => string} serverPlace its name where it can be used, else empty */
  constructor(place, actions, serverPlace) {
    this.place = place;
    this.actions = actions;
    this.serverPlace = serverPlace;
    /** @type {Map<Item, Line>} */
    this.lines = new Map();
    /** Thumbnails are made one after the other, of what is seen. @type {Promise<void>} */
    this.thumbnails = Promise.resolve();
    this.seen = new IntersectionObserver((entries) => {
      for (const {isIntersecting, target} of entries)
        if (isIntersecting) {
          this.seen.unobserve(target);
          const line = [...this.lines.values()].find(({row}) => row === target);
          if (line) this.thumbnails = this.thumbnails.then(() => line.drawThumbnail());
        }
    }, {rootMargin: '600px'});
  }

  /** Lines for these, in their order. @param {Item[]} items */
  arrange(items) {
    const wanted = new Set(items);
    for (const [item, line] of this.lines)
      if (!wanted.has(item)) {
        this.seen.unobserve(line.row);
        const next = line.row.nextElementSibling ?? line.row.previousElementSibling;
        if (line.row.contains(document.activeElement)) /** @type {HTMLElement | null | undefined} */ (next?.querySelector('button:enabled'))?.focus();
        line.row.remove();
        this.lines.delete(item);
      }
    for (const item of items)
      if (!this.lines.has(item)) {
        const line = new Line(item, this.actions, this.serverPlace);
        this.lines.set(item, line);
        this.place.append(line.row);
        this.seen.observe(line.row);
      }
  }

  /** @param {Item} item */
  update(item) {
    this.lines.get(item)?.update();
  }

  /** Bring one into view, its first button focused. @param {Item | undefined} item */
  go(item) {
    const row = item && this.lines.get(item)?.row;
    row?.scrollIntoView({block: 'center'});
    /** @type {HTMLElement | null | undefined} */ (row?.querySelector('button:enabled'))?.focus({preventScroll: true});
  }

  /** @param {Item | null} shown */
  mark(shown) {
    for (const [item, line] of this.lines) line.mark(item === shown);
  }
}

class Line {
  /** @param {Item} item @param {Actions} actions @param {() => string} serverPlace */
  constructor(item, actions, serverPlace) {
    this.item = item;
    this.actions = actions;
    this.serverPlace = serverPlace;
    const {name} = item.file;
    this.thumbnail = element('canvas', {width: THUMBNAIL, height: THUMBNAIL, 'aria-hidden': 'true'});
    this.picture = element('span', {className: 'thumbnail'}, icon('picture'), this.thumbnail);
    this.open = element('button', {type: 'button', className: 'name', title: name, 'aria-label': words.show(name), onclick: () => actions.show(item)}, `${item.folder}${name}`);
    this.remark = element('span', {className: 'remark'});
    this.bar = element('progress', {max: 1, value: 0, 'aria-label': words.itemProgress(name)});
    this.buttons = element('span', {className: 'buttons'});
    this.row = element('li', {}, this.picture, element('span', {className: 'about'}, this.open, this.remark, this.bar), this.buttons);
    this.state = '';
    this.update();
  }

  update() {
    const {item} = this, {state, progress, result, problem, file} = item;
    this.bar.hidden = state !== 'running';
    this.bar.value = progress;
    const remarks = {
      waiting: words.waiting,
      running: [item.remark, progress > 0 && words.percent(progress)].filter(Boolean).join(' · '),
      done: result && [words.size(result.facts.output), words.bytes(result.blob.size), item.saved && words.saved].filter(Boolean).join(' · '),
      failed: problem,
      cancelled: words.cancelled,
    };
    this.remark.textContent = remarks[state] ?? '';
    const place = this.serverPlace(), key = `${state} ${place}`;
    if (key === this.state) return;
    this.state = key;
    this.row.dataset.state = state;
    this.open.disabled = state !== 'done';
    const {name} = file, {actions} = this;
    const buttons = [];
    if (item.active) buttons.push(iconButton('cross', words.cancel(name), () => actions.cancel(item)));
    else {
      if (state === 'done') buttons.push(iconButton('save', words.save(name), () => actions.save(item)));
      buttons.push(iconButton('again', words.retry(name), () => actions.retry(item)), iconButton('bin', words.remove(name), () => actions.remove(item)));
    }
    const held = this.buttons.contains(document.activeElement);
    this.buttons.replaceChildren(...buttons);
    if (held) buttons[0].focus(); // where the button that had the focus is gone
    this.elsewhere?.remove();
    if (state === 'failed' && item.options.where === 'browser' && place) {
      this.elsewhere = element('button', {type: 'button', className: 'small', onclick: () => actions.onServer(item)}, words.onServerInstead(place));
      this.remark.after(this.elsewhere);
    }
  }

  /** @param {boolean} shown in the viewer */
  mark(shown) {
    if (shown) this.row.setAttribute('aria-current', 'true');
    else this.row.removeAttribute('aria-current');
  }

  async drawThumbnail() {
    const bitmap = await createImageBitmap(this.item.file, {resizeHeight: THUMBNAIL, resizeQuality: 'medium'}).catch(() => null);
    if (!bitmap) return; // the sign for a picture stays
    const side = Math.min(bitmap.width, bitmap.height);
    const context = /** @type {CanvasRenderingContext2D} */ (this.thumbnail.getContext('2d'));
    context.drawImage(bitmap, (bitmap.width - side) / 2, (bitmap.height - side) / 2, side, side, 0, 0, THUMBNAIL, THUMBNAIL);
    bitmap.close();
    this.picture.classList.add('drawn');
  }
}
