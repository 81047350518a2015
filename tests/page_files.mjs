// Does what tests/test_page_files.py asks: pictures read, or read and written again. In Node by the functions inside, line by line; in a
// browser by what the page uses, which is given as `files`.

const encoded = (bytes) => {
  let text = '';
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
};
const decoded = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
const told = (value) => (value instanceof Uint8Array ? {bytes: encoded(value)} : value);

/** `pixels`: to be written instead of those of the file. */
export async function answer({file, name, write, pixels}, files) {
  try {
    const picture = file === undefined ? {metadata: {}, notes: []} : await files.read(new Blob([decoded(file)]), name);
    if (pixels) {
      const bytes = decoded(pixels.data);
      picture.pixels = {...pixels, data: pixels.deep ? new Uint16Array(bytes.buffer) : bytes};
    }
    if (write) {
      const {blob, notes} = await files.write(picture.pixels, {metadata: picture.metadata, ...write});
      return {file: encoded(new Uint8Array(await blob.arrayBuffer())), type: blob.type, notes: [...picture.notes, ...notes]};
    }
    const {data, width, height, channels} = picture.pixels;
    return {
      ...picture,
      metadata: JSON.parse(JSON.stringify(picture.metadata, (_, value) => told(value))),
      pixels: {data: encoded(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)), width, height, channels, deep: data instanceof Uint16Array},
    };
  } catch (error) {
    return {error: error.name === 'PictureError' ? error.message : `${error.name}: ${error.message}\n${error.stack}`};
  }
}

if (globalThis.process?.argv[2]) {
  const folder = process.argv[2], {createInterface} = await import('node:readline');
  const {read} = await import(`${folder}/reading.js`), {write} = await import(`${folder}/writing.js`);
  for await (const line of createInterface({input: process.stdin})) console.log(JSON.stringify(await answer(JSON.parse(line), {read, write})));
}
