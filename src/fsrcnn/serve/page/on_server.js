// Pictures computed by `fsrcnn serve`: sent as a job, watched by its events, fetched, deleted.

import {command} from './names.js';
import {words} from './strings.js';

const SHARES = {sent: 0.2, computed: 0.95}; // of the way, when the picture has been sent, and computed
const RETRY = 5; // seconds where the server does not say how many

/** The name by which people know the server's machine; empty where it is their own. */
export const host = /^(localhost|.*\.localhost|127\..*|\[::1\])$/.test(location.hostname) ? '' : location.hostname;

/** Addresses of the jobs under way, from before their pictures are sent. @type {Set<string>} */
const jobs = new Set();

/** @param {string} place of a job that nobody needs any longer; the server deletes it after a while all the same */
function dropped(place) {
  fetch(place, {method: 'DELETE', keepalive: true}).catch(() => {});
}

addEventListener('pagehide', () => jobs.forEach(dropped)); // of a page that comes back they can be tried again

/** What computes there, and in which precisions, when `obstacle` has asked. */
export const machine = {engine: '', precisions: ['fast', 'exact']};

/** Why no picture can be computed there; empty where they can. @returns {Promise<string>} */
export async function obstacle() {
  try {
    const answer = await fetch('v1/models', {headers: {Accept: 'application/json'}});
    if (answer.status === 401) return words.wantsToken;
    const told = answer.ok && (await answer.json());
    if (!Array.isArray(told.precisions)) return words.noServer;
    Object.assign(machine, {engine: told.engine, precisions: told.precisions});
    return '';
  } catch {
    return words.noServer;
  }
}

/** The options of a picture that was to be computed elsewhere. @param {import('./options.js').Options} options @returns {import('./options.js').Options} */
export function asked(options) {
  return {...options, where: 'server', precision: machine.precisions.includes(options.precision) ? options.precision : 'exact'};
}

/** @type {import('./queue.js').Door} */
export const server = {
  lanes: 3, // one is sent or fetched while others are computed; a browser has six connections to a server
  async compute(file, options, {signal, onProgress}) {
    const began = performance.now();
    const place = `v1/jobs/${randomId()}`; // of the page's own choice: a page that is left stops what it has sent though no answer came
    jobs.add(place);
    let taken = false;
    try {
      await submitted(place, file, options, signal, onProgress);
      taken = true;
      signal.throwIfAborted();
      const {result} = await watched(place, signal, (done) => onProgress(SHARES.sent + (SHARES.computed - SHARES.sent) * done));
      const answer = await reached(fetch(`${place}/result`, {signal}));
      if (!answer.ok) throw new Error(await said(answer));
      const blob = await answer.blob().catch(unreachable);
      return {blob, name: result.name, notes: result.notes, facts: facts(file, options, result, (performance.now() - began) / 1000)};
    } finally {
      jobs.delete(place);
      if (taken) dropped(place);
    }
  },
};

/** @param {File} file @param {import('./options.js').Options} options @param {any} result as the server reports it @param {number} seconds */
function facts(file, options, result, seconds) {
  return {
    input: result.input_size,
    output: result.output_size,
    seconds,
    model: result.model,
    reason: result.reason,
    engine: words.engineOfServer(location.host, machine.engine, options.precision),
    sameness: words.sameBytes,
    command: command(file.name, options),
  };
}

/** 128 bits, in hexadecimal digits. */
function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * Until the server has taken the job; where it is busy, tries again for as long as it says so.
 * @param {string} place of the job @param {File} file @param {import('./options.js').Options} options @param {AbortSignal} signal
 * @param {(done: number, remark?: string) => void} onProgress
 */
async function submitted(place, file, options, signal, onProgress) {
  for (;;) {
    const answer = await put(place, form(file, options), signal, (done) => onProgress(SHARES.sent * done, done < 1 ? words.uploading : '')).catch(async (error) => {
      await file.slice(0, 1).arrayBuffer(); // a file that was changed since it was chosen fails here, and says so
      throw error;
    });
    if (answer.status === 202) return;
    if (answer.status !== 503) throw new Error(detail(answer.text, answer.status));
    const seconds = answer.retryAfter || RETRY;
    onProgress(0, words.busy(seconds));
    await slept(seconds, signal);
  }
}

/** The options as fields. @param {File} file @param {import('./options.js').Options} options */
function form(file, {model, size, precision, format, quality, lossless, page, tolerant}) {
  const fields = new FormData();
  const {factor, width, height, fit} = size;
  const given = {model, precision, scale: factor, width, height, fit: fit?.join('x'), format, quality, lossless: lossless || null, page, tolerant: tolerant || null};
  for (const [name, value] of Object.entries(given)) if (value !== undefined && value !== null) fields.append(name, String(value));
  fields.append('picture', file, file.name);
  return fields;
}

/**
 * A PUT that tells how much was sent, which `fetch` does not.
 * @param {string} place @param {FormData} body @param {AbortSignal} signal @param {(done: number) => void} onSent
 * @returns {Promise<{status: number, text: string, retryAfter: number}>}
 */
function put(place, body, signal, onSent) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let sent = false; // from then on there is a job, which must be deleted, so that its answer is waited for
    request.open('PUT', place);
    request.upload.onload = () => (sent = true);
    request.upload.onprogress = ({loaded, total}) => onSent(loaded / (total || 1));
    request.onload = () => resolve({status: request.status, text: request.responseText, retryAfter: Number(request.getResponseHeader('Retry-After'))});
    request.onerror = () => reject(new Error(words.gone));
    request.onabort = () => reject(signal.reason);
    signal.addEventListener('abort', () => sent || request.abort());
    if (signal.aborted) request.abort();
    else request.send(body);
  });
}

/**
 * The job, when it is done.
 * @param {string} place @param {AbortSignal} signal @param {(done: number) => void} onProgress
 * @returns {Promise<any>}
 */
function watched(place, signal, onProgress) {
  return new Promise((resolve, reject) => {
    const events = new EventSource(`${place}/events`);
    const over = (/** @type {() => void} */ settle) => {
      events.close();
      settle();
    };
    events.addEventListener('progress', ({data}) => onProgress(JSON.parse(data).progress));
    events.addEventListener('done', ({data}) => over(() => resolve(JSON.parse(data))));
    events.addEventListener('failed', ({data}) => over(() => reject(new Error(words.asOption(JSON.parse(data).problem.detail)))));
    events.addEventListener('cancelled', () => over(() => reject(new Error(words.cutOff))));
    // A browser connects anew by itself where a stream breaks off; whether there is a server left, a question tells.
    events.onerror = async () => {
      if (signal.aborted) return;
      const answer = await fetch(place, {signal}).catch(() => null);
      if (!answer) over(() => reject(new Error(words.gone)));
      else if (!answer.ok) over(async () => reject(new Error(await said(answer))));
      else if (events.readyState === EventSource.CLOSED) over(() => reject(new Error(words.gone)));
    };
    signal.addEventListener('abort', () => over(() => reject(signal.reason)));
    if (signal.aborted) over(() => reject(signal.reason));
  });
}

/** @param {number} seconds @param {AbortSignal} signal @returns {Promise<void>} */
function slept(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

/** @template T @param {Promise<T>} answer @returns {Promise<T>} */
function reached(answer) {
  return answer.catch(unreachable);
}

/** @param {any} error @returns {never} */
function unreachable(error) {
  throw error?.name === 'AbortError' ? error : new Error(words.gone);
}

/** The sentence of an answer that is a problem. @param {Response} answer */
async function said(answer) {
  return detail(await answer.text().catch(() => ''), answer.status);
}

/** @param {string} text of `application/problem+json` @param {number} status @returns {string} */
function detail(text, status) {
  try {
    return words.asOption(JSON.parse(text).detail ?? words.answered(status));
  } catch {
    return words.answered(status);
  }
}
