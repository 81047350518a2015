// The side of Node and of the browser of benchmarks/web_engine.py: runs whatever is asked for next, and says how long it took.

const inNode = Boolean(globalThis.process?.versions?.node);
const [base, dist] = inNode ? process.argv.slice(2) : [location.origin, '/dist'];
const {Upscaler} = await import(`${dist}/index.js`);

const width = 1920, height = 1080;
const noise = (length) => Uint8Array.from({length}, (_, i) => Math.imul(i, 2654435761) >>> 24);
const rgb = {data: noise(3 * width * height), width, height, channels: 3};
const [fast, exact] = await Promise.all(['fast', 'exact'].map((precision) => Upscaler.load('fsrcnn', {scale: 2, threads: 1, precision})));
const runs = {fast: () => fast.upscale(rgb), exact: () => exact.upscale(rgb)};
if (!inNode && (await fetch('/model.onnx')).ok) {
  const ort = await import('/ort/ort.wasm.min.mjs');
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = '/ort/';
  const session = await ort.InferenceSession.create('/model.onnx', {executionProviders: ['wasm']});
  const luma = new ort.Tensor('float32', Float32Array.from(noise(width * height), (value) => value / 255), [1, 1, height, width]);
  runs.ort = () => session.run({[session.inputNames[0]]: luma});
}
for (const run of Object.values(runs)) for (let i = 0; i < 2; i++) await run(); // compiled for speed meanwhile
let last = Object.keys(runs).join(' ');
for (;;) {
  const asked = await (await fetch(`${base}/next`, {method: 'POST', body: last})).text();
  if (asked === 'end') break;
  const began = performance.now();
  await runs[asked]();
  last = String(performance.now() - began);
}
fast.close();
exact.close();
