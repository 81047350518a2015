// What the page remembers of this browser's user, where the browser lets it.

/** @param {string} name @returns {any} null where nothing is kept */
export function kept(name) {
  try {
    return JSON.parse(localStorage.getItem(`fsrcnn.${name}`) ?? 'null');
  } catch {
    return null;
  }
}

/** @param {string} name @param {unknown} value */
export function keep(name, value) {
  try {
    localStorage.setItem(`fsrcnn.${name}`, JSON.stringify(value));
  } catch {
    // a browser that keeps nothing
  }
}
