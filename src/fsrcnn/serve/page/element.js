// Elements, made in a line.

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag @param {Record<string, any>} [properties] of the element; those with - in their names are attributes
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties))
    if (name.includes('-') || name === 'role') made.setAttribute(name, value);
    else /** @type {any} */ (made)[name] = value;
  made.append(...children);
  return made;
}

/** Strokes of a 24 × 24 grid. */
const STROKES = {
  cross: 'M6 6l12 12M18 6L6 18',
  again: 'M20 11a8 8 0 1 0-2.3 6.3M20 4v7h-7',
  save: 'M12 4v11m-5-5l5 5 5-5M5 20h14',
  bin: 'M4 7h16M10 11v6m4-6v6M6 7l1 13h10l1-13M9 7V4h6v3',
  left: 'M15 5l-7 7 7 7',
  right: 'M9 5l7 7-7 7',
  picture: 'M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15 9h.01',
};

/** @param {keyof typeof STROKES} name */
export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg'), path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  path.setAttribute('d', STROKES[name]);
  svg.append(path);
  return svg;
}

/** A button that shows an icon, and says what it does. @param {keyof typeof STROKES} name @param {string} label @param {() => void} onclick */
export function iconButton(name, label, onclick) {
  return element('button', {type: 'button', className: 'icon', title: label, 'aria-label': label, onclick}, icon(name));
}

/** The element of an id. @param {string} id @returns {any} */
export function byId(id) {
  return document.getElementById(id);
}
