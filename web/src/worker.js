// A worker: networks come in once, bands of pictures again and again; and what would make a page stall otherwise.

import {Engine} from './engine.js';
import {estimatesOf} from './estimates.js';
import {fixedPoint} from './fixed_point.js';
import {onNode} from './platform.js';
import {computed} from './windows.js';

/** @type {any} */
const port = onNode ? (await import(/* @vite-ignore */ onNode)).parentPort : globalThis;
/** The last that came for each scale. @type {Map<number, Engine>} */
const engines = new Map();

/**
 * One of what is wanted, with what it needs.
 * @typedef {object} Job
 * @property {import('./windows.js').Band} [band] its samples
 * @property {import('./picture.js').Pixels} [picture] its estimates
 * @property {import('./weights.js').Weights} [weights] their whole numbers
 */

/** @param {{code: WebAssembly.Module, networks: import('./engine.js').Network[], job: Job}} message */
function answer({code, networks, job: {band, picture, weights}}) {
  try {
    for (const network of networks) engines.set(network.architecture.scale, new Engine(code, network));
    if (band) {
      const samples = computed(band, engines);
      port.postMessage({result: samples}, [samples.buffer]);
    } else if (picture) port.postMessage({result: estimatesOf(picture)});
    else if (weights) port.postMessage({result: fixedPoint(weights)});
  } catch (error) {
    engines.clear(); // a trap leaves a module's stack as it was; the next band brings its networks again
    port.postMessage({error: error instanceof Error ? error.message : String(error)});
  }
}

if (onNode) port.on('message', answer);
else port.onmessage = (/** @type {MessageEvent} */ {data}) => answer(data);
