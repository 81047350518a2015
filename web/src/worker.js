// A worker: networks come in once, bands of pictures again and again.

import {Engine} from './engine.js';
import {onNode} from './platform.js';
import {computed} from './windows.js';

/** @type {any} */
const port = onNode ? (await import(/* @vite-ignore */ onNode)).parentPort : globalThis;
/** @type {Map<number, Engine>} */
const engines = new Map();

/** @param {{code: WebAssembly.Module, networks: import('./engine.js').Network[], band: import('./windows.js').Band}} message */
function answer({code, networks, band}) {
  try {
    for (const network of networks) engines.set(network.architecture.scale, new Engine(code, network));
    const samples = computed(band, engines);
    port.postMessage({samples}, [samples.buffer]);
  } catch (error) {
    engines.clear(); // a trap leaves a module's stack as it was; the next band brings its networks again
    port.postMessage({error: error instanceof Error ? error.message : String(error)});
  }
}

if (onNode) port.on('message', answer);
else port.onmessage = (/** @type {MessageEvent} */ {data}) => answer(data);
