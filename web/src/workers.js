// The workers of an upscaler: started when first wanted, one job at a time for each.

import {UpscaleError} from './errors.js';
import {onNode} from './platform.js';

/** @typedef {import('./engine.js').Network} Network */
/** @typedef {{job: import('./worker.js').Job, networks: Network[], resolve: (result: any) => void, reject: (reason: Error) => void}} Task */

const CLOSED = 'this upscaler was closed';

class OneWorker {
  /** @param {any} worker @param {() => void} whenFree */
  constructor(worker, whenFree) {
    this.worker = worker;
    /** @type {Task | null} */
    this.task = null;
    /** The network that it has for a scale. @type {Map<number, Network>} */
    this.known = new Map();
    /** @param {{result?: any, error?: string}} answer */
    const answered = ({result, error}) => {
      const task = this.task;
      this.task = null;
      this.worker.unref?.();
      if (error === undefined) task?.resolve(result);
      else {
        this.known.clear();
        task?.reject(new UpscaleError(error));
      }
      whenFree();
    };
    /** @param {any} event */
    const failed = (event) => answered({error: `a worker of the engine failed: ${event.message || 'its file cannot be loaded'}`});
    if (onNode) {
      worker.on('message', answered).on('error', failed).unref(); // a program does not wait for workers that have nothing to do
    } else {
      worker.onmessage = (/** @type {MessageEvent} */ {data}) => answered(data);
      worker.onerror = failed;
    }
  }

  /** @param {WebAssembly.Module} code @param {Task} task */
  begin(code, task) {
    this.task = task;
    this.worker.ref?.();
    const {job} = task, networks = task.networks.filter((network) => this.known.get(network.architecture.scale) !== network);
    this.worker.postMessage({code, networks, job}, job.band ? [job.band.samples.buffer] : job.picture ? [job.picture.data.buffer] : []);
    networks.forEach((network) => this.known.set(network.architecture.scale, network));
  }
}

export class Workers {
  /** @param {WebAssembly.Module} code @param {number} count the most of them @param {() => any} start */
  constructor(code, count, start) {
    this.code = code;
    this.count = count;
    this.start = start;
    /** @type {OneWorker[]} */
    this.all = [];
    /** @type {Task[]} */
    this.queue = [];
    this.closed = false;
  }

  /**
   * The samples of a band of a result; those of the band are gone then.
   * @param {import('./windows.js').Band} band @param {Network[]} networks of its passes
   * @returns {Promise<import('./colour.js').Samples>}
   */
  computed(band, networks) {
    return this.done({band}, networks);
  }

  /**
   * What is measured of a picture, whose samples are gone then.
   * @param {import('./picture.js').Pixels} picture
   * @returns {Promise<import('./estimates.js').Estimates>}
   */
  estimates(picture) {
    return this.done({picture});
  }

  /**
   * @param {import('./weights.js').Weights} weights
   * @returns {Promise<ReturnType<typeof import('./fixed_point.js').fixedPoint>>}
   */
  fixedPoint(weights) {
    return this.done({weights});
  }

  /** @private @param {import('./worker.js').Job} job @param {Network[]} [networks] @returns {Promise<any>} */
  done(job, networks = []) {
    return new Promise((resolve, reject) => {
      if (this.closed) throw new UpscaleError(CLOSED);
      this.queue.push({job, networks, resolve, reject});
      this.next();
    });
  }

  next() {
    while (this.queue.length > 0) {
      let free = this.all.find((worker) => !worker.task);
      if (!free && this.all.length < this.count) this.all.push((free = new OneWorker(this.start(), () => this.next())));
      if (!free) return;
      free.begin(this.code, /** @type {Task} */ (this.queue.shift()));
    }
  }

  close() {
    this.closed = true;
    const unfinished = [...this.queue, ...this.all.flatMap(({task}) => task ?? [])];
    this.all.forEach(({worker}) => worker.terminate());
    this.all = [];
    this.queue = [];
    unfinished.forEach(({reject}) => reject(new UpscaleError(CLOSED)));
  }
}
