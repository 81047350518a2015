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
export async function answer({file, name, write, pixels, abort}, files) {
  const [signal, workers] = abort ? aborted(abort) : [];
  try {
    const picture = file === undefined ? {metadata: {}, notes: []} : await files.read(new Blob([decoded(file)]), name, {signal});
    if (pixels) {
      const bytes = decoded(pixels.data);
      picture.pixels = {...pixels, data: pixels.deep ? new Uint16Array(bytes.buffer) : bytes};
    }
    if (write) {
      const {blob, notes} = await files.write(picture.pixels, {metadata: picture.metadata, signal, ...write});
      return {file: encoded(new Uint8Array(await blob.arrayBuffer())), type: blob.type, notes: [...picture.notes, ...notes]};
    }
    const {data, width, height, channels} = picture.pixels;
    return {
      ...picture,
      metadata: JSON.parse(JSON.stringify(picture.metadata, (_, value) => told(value))),
      pixels: {data: encoded(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)), width, height, channels, deep: data instanceof Uint16Array},
    };
  } catch (error) {
    if (error.name === 'PictureError') return {error: error.message};
    return {error: `${error.name}: ${error.message}${workers ? '' : `\n${error.stack}`}`, ...workers?.()};
  }
}

/** A signal that is given after some milliseconds, `null`: already; and what tells how many workers started and ended meanwhile. */
function aborted({delay}) {
  const controller = new AbortController(), own = globalThis.Worker;
  const stop = () => controller.abort(new DOMException('nobody wants it', 'AbortError'));
  let started = 0, ended = 0;
  globalThis.Worker = class extends own {
    constructor(...given) {
      super(...given);
      started += 1;
      if (delay !== null) setTimeout(stop, delay);
    }

    terminate() {
      super.terminate();
      ended += 1;
    }
  };
  if (delay === null) stop();
  return [controller.signal, () => {
    globalThis.Worker = own;
    return {started, ended};
  }];
}

/** Browsers with an ability less. What they replace, they put back. */
const WAYS = {
  noise: [() => OffscreenCanvasRenderingContext2D.prototype, 'getImageData', (own) => function (...given) {
    const read = own.apply(this, given);
    read.data[read.data.length - 4] ^= 1;
    return read;
  }],
  'no WebGL': [() => OffscreenCanvas.prototype, 'getContext', (own) => function (kind, ...given) {
    return kind === 'webgl2' ? null : own.call(this, kind, ...given);
  }],
  'WebGL noise': [() => WebGL2RenderingContext.prototype, 'readPixels', (own) => function (...given) {
    own.apply(this, given);
    given[6][0] ^= 1;
  }],
  'png for WebP': [() => OffscreenCanvas.prototype, 'convertToBlob', (own) => function () {
    return own.call(this, {type: 'image/png'});
  }],
  'lossless for WebP': [() => OffscreenCanvas.prototype, 'convertToBlob', () => async function () {
    const {encoded} = await import('/files/webp_lossless.js'), {fileOf} = await import('/files/webp.js');
    const size = {width: 1, height: 1};
    return new Blob(fileOf(size, [['VP8L', encoded({...size, channels: 3, data: new Uint8Array(3)})]], false, {}), {type: 'image/webp'});
  }],
};

/** `answer` by the functions inside, on the page itself, in a browser that is another one meanwhile. */
export async function answerFaked({fake, ...job}, files) {
  const [holder, name, made] = WAYS[fake], prototype = holder(), own = prototype[name];
  prototype[name] = made(own);
  try {
    return await answer(job, files);
  } finally {
    prototype[name] = own;
  }
}

if (globalThis.process?.argv[2]) {
  const folder = process.argv[2], {createInterface} = await import('node:readline');
  const {read} = await import(`${folder}/reading.js`), {write} = await import(`${folder}/writing.js`);
  for await (const line of createInterface({input: process.stdin})) console.log(JSON.stringify(await answer(JSON.parse(line), {read, write})));
}
