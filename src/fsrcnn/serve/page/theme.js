// Light and dark: as the system has it, or as it was chosen here.

import {byId} from './element.js';
import {keep, kept} from './settings.js';

/** Let the choice of the page's head count, and begin with the one that was made last. */
export function beginTheme() {
  const choice = /** @type {HTMLSelectElement} */ (byId('theme'));
  const paint = () => {
    if (choice.value === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = choice.value;
  };
  const last = kept('theme');
  choice.value = last === 'light' || last === 'dark' ? last : 'system';
  choice.addEventListener('change', () => {
    keep('theme', choice.value);
    paint();
  });
  paint();
}
