// The page without a network, also after a reload: what its host answers is kept, and used where the host cannot be reached.

/** @type {any} */
const worker = globalThis; // a ServiceWorkerGlobalScope
const CACHE = 'fsrcnn';
const FILES = [
  './', 'app.js', 'bicubic.js', 'element.js', 'facts.js', 'files/bytes.js', 'files/canvas.js', 'files/colour.js',
  'files/containers.js', 'files/errors.js', 'files/formats.js', 'files/huffman.js', 'files/index.js', 'files/jpeg.js',
  'files/jpeg_scans.js', 'files/jpeg_writing.js', 'files/metadata.js', 'files/png_reading.js', 'files/png_writing.js',
  'files/reading.js', 'files/streams.js', 'files/tags.js', 'files/upright.js', 'files/webp.js', 'files/webp_lossless.js',
  'files/words.js', 'files/worker.js', 'files/writing.js', 'files/xmp.js', 'icon.svg', 'in_browser.js', 'intake.js', 'list.js',
  'names.js', 'on_server.js', 'options.js', 'queue.js', 'saving.js', 'settings.js', 'strings.js', 'style.css', 'theme.js', 'viewer.js', 'zip.js',
];
const ENGINE = 'engine/files.json'; // what `make web` put there

worker.addEventListener('install', (/** @type {any} */ event) => {
  worker.skipWaiting();
  event.waitUntil(fill());
});
worker.addEventListener('activate', (/** @type {any} */ event) => event.waitUntil(worker.clients.claim()));
worker.addEventListener('fetch', (/** @type {any} */ event) => {
  const {request} = event, scope = new URL(worker.registration.scope);
  const path = new URL(request.url).pathname.slice(scope.pathname.length);
  if (request.method === 'DELETE') event.respondWith(fetch(request)); // of a page that is left: nobody but this worker is there to send it
  if (request.method !== 'GET' || !request.url.startsWith(scope.origin) || /^(v1\/|docs|openapi|healthz|metrics)/.test(path)) return;
  event.respondWith(answered(request));
  if (request.mode === 'navigate') event.waitUntil(fill()); // a newer page brings newer files
});

/** The host's answer; what was kept of it where there is none. @param {Request} request */
async function answered(request) {
  const cache = await caches.open(CACHE);
  const found = async () => (await cache.match(request, {ignoreSearch: true})) ?? (request.mode === 'navigate' ? cache.match('./') : undefined);
  try {
    const answer = await fetch(request.mode === 'navigate' ? request : new Request(request, {cache: 'no-cache'})); // files of one version
    return answer.ok || request.mode === 'navigate' ? answer : ((await found()) ?? answer);
  } catch {
    return (await found()) ?? Response.error();
  }
}

/** Keep all files, the engine's and its weights too. */
async function fill() {
  const cache = await caches.open(CACHE);
  const listed = await fetch(ENGINE, {cache: 'no-cache'}).catch(() => null);
  const engine = listed?.ok ? (await listed.json()).map((/** @type {string} */ name) => `engine/${name}`) : [];
  await Promise.all(
    [...FILES, ...engine].map(async (name) => {
      const answer = await fetch(name, {cache: 'no-cache'}).catch(() => null);
      if (answer?.ok) await cache.put(name, answer);
    }),
  );
}
