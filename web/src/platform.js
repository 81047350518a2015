// Where this runs: a browser's page or worker, or Node.

import {UpscaleError} from './errors.js';

/** @type {any} */
const processOfNode = /** @type {any} */ (globalThis).process;
/** The module of Node that has workers; empty in a browser. A bundler for browsers must not look for it. */
export const onNode = processOfNode?.versions?.node ? 'node:worker_threads' : '';

/** How many threads this machine has. */
export const cores = globalThis.navigator?.hardwareConcurrency ?? 4;

/**
 * What a file beside the package's modules holds. Some hosts answer with a page of theirs where there is no such file.
 * @template T
 * @param {string} name @param {string | URL} base
 * @param {(bytes: Uint8Array<ArrayBuffer>) => T | Promise<T>} read
 * @returns {Promise<T>}
 */
export async function fileOf(name, base, read) {
  const url = new URL(name, base);
  try {
    if (url.protocol === 'file:' && onNode) {
      const files = 'node:fs/promises';
      return await read(new Uint8Array(await (await import(/* @vite-ignore */ files)).readFile(url)));
    }
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    return await read(new Uint8Array(await answer.arrayBuffer()));
  } catch (cause) {
    throw new UpscaleError(`${url} cannot be read`, {cause});
  }
}

/** What starts a worker on this platform. @returns {Promise<() => any>} */
export async function workerStarter() {
  if (!onNode) return () => new Worker(new URL('./worker.js', import.meta.url), {type: 'module'});
  const {Worker: NodeWorker} = await import(/* @vite-ignore */ onNode);
  // Not the flags of the program, which may be about its own source.
  return () => new NodeWorker(new URL('./worker.js', import.meta.url), {execArgv: []});
}
