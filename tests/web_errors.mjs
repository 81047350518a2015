// What goes wrong in the package of web/, each as a line of JSON: [what was tried, how it ended]. For tests/test_web_engine.py.

const [, , dist, folder] = process.argv;
const {Upscaler, UpscaleError} = await import(`${dist}/index.js`);
const {readFile} = await import('node:fs/promises');

/** @param {string} what @param {() => Promise<unknown>} attempt */
async function ends(what, attempt) {
  try {
    await attempt();
    console.log(JSON.stringify([what, 'nothing went wrong']));
  } catch (error) {
    console.log(JSON.stringify([what, `${error instanceof UpscaleError ? 'UpscaleError' : error.name}: ${error.message}`]));
  }
}

const grey = (height, width) => ({data: new Uint8Array(height * width), width, height, channels: 1});
await ends('model', () => Upscaler.load('fsrcnn-z'));
await ends('precision', () => Upscaler.load('fsrcnn', {precision: 'quick'}));
await ends('a long precision', () => Upscaler.load('fsrcnn', {precision: 'x'.repeat(81)}));
await ends('scale', () => Upscaler.load('fsrcnn', {scale: 1}));
await ends('threads', () => Upscaler.load('fsrcnn', {threads: 0}));
await ends('a billion threads', () => Upscaler.load('fsrcnn', {threads: 1e9}));
await ends('scale as text', () => Upscaler.load('fsrcnn', {scale: '2'}));
await ends('no options to load', () => Upscaler.load('fsrcnn', null));
await ends('text as options', () => Upscaler.load('fsrcnn', 'fast'));
await ends('a list as options', () => Upscaler.load('fsrcnn', [2]));
await ends('an option that load has not', () => Upscaler.load('fsrcnn', {Scale: 2}));
await ends('a model that is none', () => Upscaler.load(new Blob()));
await ends('a relative base', () => Upscaler.load('fsrcnn', {base: '/nope/'}));
await ends('a number as base', () => Upscaler.load('fsrcnn', {base: 5}));
await ends('base', () => Upscaler.load('fsrcnn', {base: new URL(`file://${folder}/`)}));
await ends('a page for a file', () => Upscaler.load('fsrcnn', {base: new URL(`file://${folder}/page/`)}));
await ends('a page for weights', () => Upscaler.load('fsrcnn', {base: new URL(`file://${folder}/pages/`)}));
await ends('a page for the table', () => Upscaler.load('auto', {base: new URL(`file://${folder}/page/`)}));
await ends('base of auto', () => Upscaler.load('auto', {base: new URL(`file://${folder}/`)}));
for (const name of ['pickle', 'cut', 'bare', 'architecture', 'nan', 'no header', 'offsets', 'metadata', 'integer']) await ends(name, async () => Upscaler.load(await readFile(`${folder}/${name}`)));

const validate = WebAssembly.validate;
WebAssembly.validate = () => false;
await ends('simd', () => Upscaler.load('fsrcnn'));
WebAssembly.validate = validate;

const up = await Upscaler.load('fsrcnn', {scale: 2, threads: 2});
await ends('nothing', () => up.upscale());
await ends('path', () => up.upscale('photo.jpg'));
await ends('null', () => up.upscale(null));
await ends('bytes', () => up.upscale(new Uint8Array(4)));
await ends('float32 samples alone', () => up.choose(new Float32Array(4)));
await ends('a buffer', () => up.upscale(new ArrayBuffer(4)));
await ends('no options to upscale', () => up.upscale(grey(2, 2), null));
await ends('an option that upscale has not', () => up.upscale(grey(2, 2), {factor: 3}));
await ends('an option that choose has not', () => up.choose(grey(2, 2), {signal: undefined}));
await ends('an option that size has not', () => up.upscale(grey(2, 2), {size: {siez: 3}}));
await ends('an option that compression has not', () => up.upscale(grey(2, 2), {compression: {format: 'JPEG', qualty: 3}}));
await ends('a big width', () => up.upscale(grey(2, 2), {size: {width: 5n}}));
await ends('no size', () => up.upscale(grey(2, 2), {size: null}));
await ends('a size as text', () => up.choose(grey(2, 2), {size: '2x'}));
await ends('a width as text', () => up.upscale(grey(2, 2), {size: {width: '2'}}));
await ends('a box as text', () => up.upscale(grey(2, 2), {size: {fit: [4, '2']}}));
await ends('a width of the picture as text', () => up.upscale({...grey(2, 2), width: '2'}));
await ends('signal', () => up.upscale(grey(2, 2), {signal: 'x'}));
await ends('no signal', () => up.upscale(grey(2, 2), {signal: null}));
await ends('a target of events', () => up.upscale(grey(2, 2), {signal: new EventTarget()}));
await ends('controller', () => up.upscale(grey(2, 2), {signal: new AbortController()}));
await ends('onProgress', () => up.upscale(grey(2, 2), {onProgress: 'x'}));
await ends('onChoice', () => up.upscale(grey(2, 2), {onChoice: 5}));
await ends('compression without a format', () => up.upscale(grey(2, 2), {compression: {quality: 75}}));
await ends('options that are not given', () => up.upscale(grey(2, 2), {size: undefined, signal: undefined, compression: null}));
await ends('a signal of another class', () => up.upscale(grey(2, 2), {signal: {throwIfAborted() {}, addEventListener() {}}}));
await ends('float64', () => up.upscale({...grey(2, 2), data: new Float64Array(4)}));
await ends('no pixels', () => up.upscale(grey(0, 5)));
await ends('channels', () => up.upscale({...grey(2, 2), channels: 5}));
await ends('length', () => up.upscale({...grey(2, 2), width: 3}));
await ends('range', () => up.upscale({...grey(2, 2), data: Float32Array.of(0, 1, 2, 0)}));
await ends('NaN', () => up.upscale({...grey(2, 2), data: Float32Array.of(0, 1, NaN, 0)}));
await ends('two sizes', () => up.upscale(grey(2, 2), {size: {factor: 2, width: 4}}));
await ends('half a pixel', () => up.upscale(grey(2, 2), {size: {width: 4.5}}));
await ends('65 times', () => up.upscale(grey(2, 2), {size: {width: 130}}));
await ends('8,590 megapixels', () => up.upscale(grey(2000, 2000), {size: {factor: 64}}));
await ends('no quality', () => up.upscale(grey(2, 2), {compression: {format: 'JPEG', quality: 0}}));
await ends('no format', () => up.choose(grey(2, 2), {compression: 'JPEG'}));
await ends('memory', () => up.upscale(grey(1400, 1400), {size: {factor: 64}}));
await ends('aborted before', () => up.upscale(grey(20, 20), {signal: AbortSignal.abort()}));
const controller = new AbortController();
await ends('aborted at once', async () => {
  setTimeout(() => controller.abort(), 0);
  await up.upscale(grey(2000, 2000), {signal: controller.signal});
});
await ends('aborted by progress', async () => {
  const stop = new AbortController();
  await up.upscale(grey(3000, 2000), {signal: stop.signal, onProgress: () => stop.abort(new Error('enough'))});
});
const auto = await Upscaler.load('auto', {threads: 1});
await ends('aborted by the choice', async () => {
  const stop = new AbortController();
  await auto.upscale(grey(20, 20), {signal: stop.signal, onChoice: () => stop.abort(new Error('enough'))});
});
await ends('aborted while it chooses', async () => {
  const stop = new AbortController();
  const ended = auto.upscale(grey(20, 20), {signal: stop.signal});
  stop.abort();
  await ended;
});
await ends('a choice that fails', () => auto.upscale(grey(20, 20), {onChoice: () => { throw new Error('of the page'); }}));
auto.close();
await ends('progress that fails', () => up.upscale(grey(20, 20), {onProgress: () => { throw new Error('of the page'); }}));
await ends('after all that', () => up.upscale(grey(20, 20)));
await ends('closed meanwhile', async () => {
  setTimeout(() => up.close(), 0);
  await up.upscale(grey(2000, 2000));
});
await ends('closed', () => up.upscale(grey(2, 2)));
