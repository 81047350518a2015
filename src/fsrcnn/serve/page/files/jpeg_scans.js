// Whether the coded data of a JPEG (ITU-T T.81, annexes F and G) are whole. Browsers go on, grey or in wrong colours, where they are not,
// and say nothing; so every code is read here, though nothing is made of it.

import {viewOf} from './bytes.js';
import {DamagedError} from './errors.js';

/** @typedef {{id: number, across: number, down: number, blocksAcross: number, rows: number, columns: number, coefficients: Uint8Array | null}} Component `across`, `down`: blocks in a unit (MCU); rows, columns: blocks of its own; coefficients: which are not 0, of a progressive one */

const TABLE_BITS = 16;
const NO_TABLE = new Uint16Array(2 ** TABLE_BITS); // which has no code

/** @param {Uint8Array} file with all its segments @throws {DamagedError} */
export function checkScans(file) {
  /** By class and number: for the next 16 bits, how many are the code, and its symbol. @type {Map<number, Uint16Array>} */
  const tables = new Map();
  /** @type {Component[]} */
  let components = [];
  let progressive = false, interval = 0, unitsAcross = 0, unitsDown = 0;
  let more = false; // bytes after the blocks of a scan; after those of a sequential file nobody minds them
  for (let at = 2; at + 4 <= file.length; ) {
    if (file[at] !== 0xff || file[at + 1] === 0xff || file[at + 1] === 0) {
      at += 1;
      continue;
    }
    const marker = file[at + 1];
    if (more && (progressive || marker !== 0xd9)) throw new DamagedError();
    if (marker === 0xd9) return;
    const end = at + 2 + ((file[at + 2] << 8) | file[at + 3]), data = file.subarray(at + 4, end);
    at = end;
    if (marker === 0xc4) readTables(data, tables);
    else if (marker === 0xdd && data.length >= 2) interval = viewOf(data).getUint16(0);
    else if (marker >= 0xc0 && marker <= 0xc2) {
      progressive = marker === 0xc2;
      ({components, unitsAcross, unitsDown} = componentsOf(data, progressive));
    } else if (marker === 0xda) {
      const reader = new Reader(file, at);
      readScan(reader, scanOf(data, components), data.subarray(-3), {tables, progressive, interval, unitsAcross, unitsDown});
      more = reader.more();
      at = reader.at;
    }
  }
}

/** @param {Uint8Array} data of a DHT segment @param {Map<number, Uint16Array>} tables */
function readTables(data, tables) {
  for (let at = 0; at + 17 <= data.length; ) {
    const table = new Uint16Array(2 ** TABLE_BITS);
    let code = 0, symbol = at + 17; // `code` as the first of 16 bits
    for (let length = 1; length <= 16; length += 1) {
      for (let count = data[at + length]; count; count -= 1, symbol += 1) {
        const span = 2 ** (TABLE_BITS - length);
        if (code + span > 2 ** TABLE_BITS || symbol >= data.length) throw new DamagedError();
        table.fill((length << 8) | data[symbol], code, code + span);
        code += span;
      }
    }
    tables.set(data[at], table);
    at = symbol;
  }
}

/** @param {Uint8Array} data of a frame's segment @param {boolean} progressive */
function componentsOf(data, progressive) {
  const height = (data[1] << 8) | data[2], width = (data[3] << 8) | data[4];
  const parts = Array.from({length: data[5]}, (_, i) => ({id: data[6 + 3 * i], across: data[7 + 3 * i] >> 4, down: data[7 + 3 * i] & 15}));
  if (!parts.every(({across, down}) => across >= 1 && across <= 4 && down >= 1 && down <= 4)) throw new DamagedError();
  const most = {across: Math.max(...parts.map(({across}) => across)), down: Math.max(...parts.map(({down}) => down))};
  const unitsAcross = Math.ceil(width / (8 * most.across)), unitsDown = Math.ceil(height / (8 * most.down));
  const components = parts.map((part) => ({
    ...part,
    blocksAcross: unitsAcross * part.across,
    columns: Math.ceil(Math.ceil((width * part.across) / most.across) / 8),
    rows: Math.ceil(Math.ceil((height * part.down) / most.down) / 8),
    coefficients: progressive ? new Uint8Array(64 * unitsAcross * part.across * unitsDown * part.down) : null,
  }));
  return {components, unitsAcross, unitsDown};
}

/** @param {Uint8Array} data of a scan's segment @param {readonly Component[]} components @returns {(Component & {dc: number, ac: number})[]} */
function scanOf(data, components) {
  return Array.from({length: data[0]}, (_, i) => {
    const found = components.find(({id}) => id === data[1 + 2 * i]);
    if (!found) throw new DamagedError();
    return {...found, dc: data[2 + 2 * i] >> 4, ac: data[2 + 2 * i] & 15};
  });
}

/** Bits of coded data, to the next marker. */
class Reader {
  /** @param {Uint8Array} file @param {number} at */
  constructor(file, at) {
    this.file = file;
    this.at = at; // of the next byte; of the marker where they have ended
    this.bits = 0;
    this.count = 0;
    this.ended = false;
  }

  fill() {
    while (this.count <= 16 && !this.ended) {
      const byte = this.file[this.at];
      if (byte === 0xff) {
        let after = this.at + 1;
        while (this.file[after] === 0xff) after += 1;
        if (this.file[after] !== 0) {
          this.ended = true;
          return;
        }
        this.at = after;
      } else if (byte === undefined) {
        this.ended = true;
        return;
      }
      this.at += 1;
      this.bits = (this.bits << 8) | byte;
      this.count += 8;
    }
  }

  /** @param {number} length at most 16 @throws {DamagedError} there are no more */
  take(length) {
    if (this.count < length) this.fill();
    if (this.count < length) throw new DamagedError();
    this.count -= length;
    return (this.bits >>> this.count) & (2 ** length - 1);
  }

  /** @param {Uint16Array} table @returns {number} a symbol @throws {DamagedError} no such code */
  symbol(table) {
    if (this.count < 16) this.fill();
    const next = this.count >= 16 ? this.bits >>> (this.count - 16) : this.bits << (16 - this.count);
    const found = table[next & 0xffff], length = found >> 8;
    if (!length || length > this.count) throw new DamagedError();
    this.count -= length;
    return found & 0xff;
  }

  /** Whether there is a whole byte more. */
  more() {
    this.fill();
    return this.count >= 8;
  }

  /** To the marker that must follow now. @returns {number} which @throws {DamagedError} something else follows */
  marker() {
    if (this.more()) throw new DamagedError();
    while (this.file[this.at] === 0xff) this.at += 1;
    this.bits = this.count = 0;
    return this.file[this.at];
  }
}

/**
 * @param {Reader} reader @param {(Component & {dc: number, ac: number})[]} scan
 * @param {Uint8Array} band first and last coefficient, and which of their bits
 * @param {{tables: Map<number, Uint16Array>, progressive: boolean, interval: number, unitsAcross: number, unitsDown: number}} about
 * @throws {DamagedError}
 */
function readScan(reader, scan, [first, last, bits], {tables, progressive, interval, unitsAcross, unitsDown}) {
  const refining = bits >> 4 > 0;
  let blank = 0; // blocks that have ended before they began
  const sequential = (/** @type {Uint16Array} */ dc, /** @type {Uint16Array} */ ac) => {
    reader.take(reader.symbol(dc) & 15);
    for (let k = 1; k < 64; k += 1) {
      const symbol = reader.symbol(ac), size = symbol & 15;
      if (size) {
        k += symbol >> 4;
        reader.take(size);
      } else if (symbol === 0xf0) k += 15;
      else break;
    }
  };
  const run = (/** @type {number} */ symbol) => 2 ** (symbol >> 4) + (symbol >> 4 ? reader.take(symbol >> 4) : 0);
  const firstBits = (/** @type {Uint16Array} */ ac, /** @type {Uint8Array} */ own) => {
    if (blank) {
      blank -= 1;
      return;
    }
    for (let k = first; k <= last; k += 1) {
      const symbol = reader.symbol(ac), size = symbol & 15;
      if (size) {
        k += symbol >> 4;
        reader.take(size);
        own[Math.min(k, 63)] = 1; // as libjpeg puts what lies beyond the end
      } else if (symbol === 0xf0) k += 15;
      else {
        blank = run(symbol) - 1;
        return;
      }
    }
  };
  const furtherBits = (/** @type {Uint16Array} */ ac, /** @type {Uint8Array} */ own) => {
    let k = first;
    for (; !blank && k <= last; k += 1) {
      const symbol = reader.symbol(ac), size = symbol & 15;
      if (size > 1) throw new DamagedError();
      if (size) reader.take(1);
      else if (symbol !== 0xf0) {
        blank = run(symbol);
        break;
      }
      for (let zeros = symbol >> 4; k <= last; k += 1) {
        if (own[k]) reader.take(1);
        else if (zeros) zeros -= 1;
        else break;
      }
      if (size) own[Math.min(k, 63)] = 1;
    }
    if (!blank) return;
    for (; k <= last; k += 1) if (own[k]) reader.take(1);
    blank -= 1;
  };
  const block = (/** @type {Component & {dc: number, ac: number}} */ {coefficients, blocksAcross, dc, ac}, /** @type {number} */ row, /** @type {number} */ column) => {
    const ofDc = tables.get(dc) ?? NO_TABLE, ofAc = tables.get(16 + ac) ?? NO_TABLE;
    if (!progressive || !coefficients) sequential(ofDc, ofAc);
    else if (first === 0) reader.take(refining ? 1 : reader.symbol(ofDc) & 15);
    else {
      const at = 64 * (row * blocksAcross + column);
      (refining ? furtherBits : firstBits)(ofAc, coefficients.subarray(at, at + 64));
    }
  };
  const alone = scan.length === 1 ? scan[0] : null;
  const across = alone ? alone.columns : unitsAcross, down = alone ? alone.rows : unitsDown;
  for (let unit = 0; unit < across * down; unit += 1) {
    if (interval && unit && unit % interval === 0) {
      if (reader.marker() !== 0xd0 + ((unit / interval - 1) & 7)) throw new DamagedError();
      reader.at += 1;
      reader.ended = false;
      blank = 0;
    }
    const row = Math.floor(unit / across), column = unit % across;
    if (alone) block(alone, row, column);
    else {
      for (const part of scan) {
        for (let y = 0; y < part.down; y += 1) for (let x = 0; x < part.across; x += 1) block(part, row * part.down + y, column * part.across + x);
      }
    }
  }
}
