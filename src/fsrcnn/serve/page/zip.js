// A ZIP of files as they are (store only), with UTF-8 names, and ZIP64 where sizes or counts need it (APPNOTE.TXT 6.3.10).
// Its parts are the files' own Blobs: nothing is copied.

const TABLE = Uint32Array.from({length: 256}, (_, value) => {
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});
const UTF8 = 0x800; // general purpose bit 11
const LIMIT16 = 0xffff, LIMIT32 = 0xffffffff;

/** @typedef {{name: string, blob: Blob, modified: Date}} Entry */

/**
 * @param {Entry[]} entries with different names, / between folders
 * @param {{signal?: AbortSignal, onProgress?: (done: number) => void}} [watch]
 * @returns {Promise<Blob>}
 */
export async function zip(entries, {signal, onProgress} = {}) {
  const parts = [], directory = [], total = entries.reduce((sum, {blob}) => sum + blob.size, 0);
  let offset = 0, read = 0;
  for (const {name, blob, modified} of entries) {
    const checksum = await crc32(blob, (bytes) => {
      signal?.throwIfAborted();
      onProgress?.((read += bytes) / total);
    });
    const utf8 = new TextEncoder().encode(name), size = blob.size;
    const large = size >= LIMIT32, far = offset >= LIMIT32;
    const version = large || far ? 45 : 20;
    const common = [...u16(UTF8), ...u16(0), ...dosTime(modified), ...u32(checksum), ...u32(large ? LIMIT32 : size), ...u32(large ? LIMIT32 : size), ...u16(utf8.length)];
    const sizes = large ? [...u64(size), ...u64(size)] : [];
    const localExtra = large ? extra(sizes) : [];
    const local = Uint8Array.from([...u32(0x04034b50), ...u16(large ? 45 : 20), ...common, ...u16(localExtra.length), ...utf8, ...localExtra]);
    const centralExtra = large || far ? extra([...sizes, ...(far ? u64(offset) : [])]) : [];
    directory.push(
      Uint8Array.from([
        ...u32(0x02014b50), ...u16(version), ...u16(version), ...common, ...u16(centralExtra.length), ...u16(0), ...u16(0), ...u16(0), ...u32(0),
        ...u32(far ? LIMIT32 : offset), ...utf8, ...centralExtra,
      ]),
    );
    parts.push(local, blob);
    offset += local.length + size;
  }
  const length = directory.reduce((sum, {length}) => sum + length, 0);
  return new Blob([...parts, ...directory, Uint8Array.from(end(entries.length, length, offset))], {type: 'application/zip'});
}

/** @param {number} count @param {number} length of the directory @param {number} offset of the directory */
function end(count, length, offset) {
  const large = count >= LIMIT16 || length >= LIMIT32 || offset >= LIMIT32;
  const records = large
    ? [
        ...u32(0x06064b50), ...u64(44), ...u16(45), ...u16(45), ...u32(0), ...u32(0), ...u64(count), ...u64(count), ...u64(length), ...u64(offset),
        ...u32(0x07064b50), ...u32(0), ...u64(offset + length), ...u32(1),
      ]
    : [];
  const entries = u16(Math.min(count, LIMIT16));
  return [...records, ...u32(0x06054b50), ...u16(0), ...u16(0), ...entries, ...entries, ...u32(Math.min(length, LIMIT32)), ...u32(Math.min(offset, LIMIT32)), ...u16(0)];
}

/** The extra field of ZIP64. @param {number[]} values */
function extra(values) {
  return [...u16(1), ...u16(values.length), ...values];
}

/** @param {Blob} blob @param {(bytes: number) => void} onRead called with what came, piece by piece */
async function crc32(blob, onRead) {
  let value = LIMIT32;
  const reader = blob.stream().getReader();
  for (;;) {
    const {done, value: bytes} = await reader.read();
    if (done) return (value ^ LIMIT32) >>> 0;
    for (let i = 0; i < bytes.length; i++) value = TABLE[(value ^ bytes[i]) & 0xff] ^ (value >>> 8);
    onRead(bytes.length);
  }
}

/** Local time, to two seconds; ZIP begins in 1980. @param {Date} date */
function dosTime(date) {
  const year = Math.max(0, date.getFullYear() - 1980);
  return [
    ...u16((date.getHours() << 11) | (date.getMinutes() << 5) | (date.getSeconds() >> 1)),
    ...u16((year << 9) | ((date.getMonth() + 1) << 5) | date.getDate()),
  ];
}

/** @param {number} value */
function u16(value) {
  return [value & 0xff, (value >>> 8) & 0xff];
}

/** @param {number} value */
function u32(value) {
  return [...u16(value), ...u16(value >>> 16)];
}

/** @param {number} value */
function u64(value) {
  return [...u32(value >>> 0), ...u32(Math.floor(value / 2 ** 32))];
}
