// How long the code of each symbol is, so that all together take the fewest bits (ITU-T T.81, annex K.2, as libjpeg settles ties).

/**
 * @param {Float64Array} often how often each symbol comes @param {number} longest bits that a code may have
 * @returns {{sizes: Int32Array, counts: Int32Array}} the length of each code before the limit, by which symbols are ordered; how many codes have each length
 */
export function codeSizes(often, longest) {
  const frequency = often.slice(), length = often.length;
  const sizes = new Int32Array(length), others = new Int32Array(length).fill(-1);
  const rarest = (/** @type {number} */ except) => {
    let found = -1;
    for (let i = 0; i < length; i += 1) if (i !== except && frequency[i] && (found < 0 || frequency[i] <= frequency[found])) found = i;
    return found;
  };
  const deepen = (/** @type {number} */ at) => {
    for (sizes[at] += 1; others[at] >= 0; sizes[at] += 1) at = others[at];
    return at;
  };
  for (;;) {
    const first = rarest(-1), second = rarest(first);
    if (second < 0) break;
    frequency[first] += frequency[second];
    frequency[second] = 0;
    others[deepen(first)] = second;
    deepen(second);
  }
  const counts = new Int32Array(length + 1);
  for (const size of sizes) if (size) counts[size] += 1;
  for (let i = length; i > longest; i -= 1) {
    while (counts[i] > 0) {
      let j = i - 2;
      while (!counts[j]) j -= 1;
      counts[i] -= 2;
      counts[i - 1] += 1;
      counts[j + 1] += 2;
      counts[j] -= 1;
    }
  }
  return {sizes, counts};
}

/**
 * Symbols in the order of their codes, and how long each is. Where the limit made codes equally long, their order is still that of before.
 * @param {{sizes: Int32Array, counts: Int32Array}} of @returns {{symbols: number[], lengths: Uint8Array}}
 */
export function ordered({sizes, counts}) {
  const symbols = [...sizes.keys()].filter((symbol) => sizes[symbol]).sort((a, b) => sizes[a] - sizes[b] || a - b);
  const lengths = new Uint8Array(sizes.length);
  for (let length = 1, i = 0; i < symbols.length; length += 1) {
    for (let count = counts[length]; count && i < symbols.length; count -= 1, i += 1) lengths[symbols[i]] = length;
  }
  return {symbols, lengths};
}

/** The codes of symbols in their order. @param {readonly number[]} symbols @param {Uint8Array} lengths */
export function codesOf(symbols, lengths) {
  const codes = new Uint32Array(lengths.length);
  let code = 0, length = 0;
  for (const symbol of symbols) {
    code <<= lengths[symbol] - length;
    length = lengths[symbol];
    codes[symbol] = code;
    code += 1;
  }
  return codes;
}
