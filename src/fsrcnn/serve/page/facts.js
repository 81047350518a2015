// What is said under a picture: what was done, and how the command line does the same.

import {element} from './element.js';
import {words} from './strings.js';

/** @param {import('./queue.js').Item} item that is done @param {(text: string) => void} copy @returns {Node[]} */
export function facts({file, result}, copy) {
  if (!result) return [];
  const {blob, facts, notes} = result;
  const rows = [
    [words.factSize, words.grown(words.size(facts.input), words.size(facts.output))],
    [words.factBytes, words.grown(`${file.name}, ${words.bytes(file.size)}`, `${result.name}, ${words.bytes(blob.size)}`)],
    [words.factTime, words.duration(facts.seconds)],
    [words.factEngine, facts.engine],
    [words.factModel, facts.reason ? words.because(facts.model ?? words.noModel, facts.reason) : (facts.model ?? words.noModel)],
  ];
  const button = element('button', {type: 'button', className: 'small', onclick: () => copy(facts.command)}, words.copyCommand);
  const made = [
    element('dl', {}, ...rows.map(([term, text]) => element('div', {}, element('dt', {}, term), element('dd', {}, text)))),
    element('h3', {}, words.factCommand),
    element('p', {className: 'command'}, element('code', {}, facts.command), button),
    element('p', {className: 'help'}, facts.sameness),
  ];
  if (notes.length > 0) made.push(element('h3', {}, words.notes), element('ul', {className: 'notes'}, ...notes.map((note) => element('li', {}, note))));
  return made;
}
