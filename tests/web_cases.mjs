// Runs what tests/test_web_engine.py asks for, in Node, in a page or in a worker: pictures from a folder or a server, results back to it.

/**
 * @param {any[]} cases @param {any} engine the package @param {(name: string) => Promise<Uint8Array>} read
 * @param {(name: string, data: Uint8Array) => Promise<void>} write
 */
export async function run(cases, engine, read, write) {
  const types = {uint8: Uint8Array, uint16: Uint16Array, float32: Float32Array};
  const upscalers = new Map();
  for (const {name, model, weights, precision, threads, scale, size, compression, dtype, width, height, channels} of cases) {
    const key = JSON.stringify([model, weights, precision, threads, scale]);
    if (!upscalers.has(key))
      upscalers.set(key, await engine.Upscaler.load(weights ? await read(weights) : model, {scale, precision, threads}));
    const bytes = await read(`${name}.in`), data = new types[dtype](bytes.slice().buffer);
    const progress = [];
    const result = await upscalers.get(key).upscale({data, width, height, channels}, {size, compression, onProgress: (done) => progress.push(done)});
    if (progress.at(-1) !== 1 || progress.some((done, i) => i > 0 && done <= progress[i - 1])) throw new Error(`${name}: progress ${progress}`);
    if (result.data.constructor !== data.constructor || result.channels !== channels) throw new Error(`${name}: of another kind`);
    await write(`${name}.${result.width}x${result.height}.out`, new Uint8Array(result.data.buffer));
  }
  for (const upscaler of upscalers.values()) upscaler.close();
}

if (globalThis.WorkerGlobalScope) {
  const read = async (name) => new Uint8Array(await (await fetch(`/cases/${name}`)).arrayBuffer());
  const write = (name, body) => fetch(`/results/worker/${name}`, {method: 'POST', body});
  globalThis.onmessage = ({data}) =>
    import('/package/dist/index.js').then((engine) => run(data, engine, read, write)).then(() => postMessage(''), (error) => postMessage(String(error)));
} else if (globalThis.process?.versions?.node && process.argv[1] === new URL(import.meta.url).pathname) {
  const {readFile, writeFile} = await import('node:fs/promises');
  const [, , dist, folder] = process.argv;
  const cases = JSON.parse(await readFile(`${folder}/cases.json`, 'utf8'));
  await run(cases, await import(`${dist}/index.js`), (name) => readFile(`${folder}/${name}`), (name, data) => writeFile(`${folder}/${name}`, data));
}
