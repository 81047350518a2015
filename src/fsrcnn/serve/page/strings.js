// All words of the page. Another language is another file like this one.

/** @param {number} count @param {string} one @param {string} many */
function counted(count, one, many) {
  return `${whole(count)} ${count === 1 ? one : many}`;
}

/** @param {number} value */
function whole(value) {
  return value.toLocaleString('en');
}

/** @param {number} bytes */
function bytes(bytes) {
  if (bytes < 1000) return counted(bytes, 'byte', 'bytes');
  const unit = bytes < 1e6 ? 'kB' : bytes < 1e9 ? 'MB' : 'GB';
  const value = bytes / {kB: 1e3, MB: 1e6, GB: 1e9}[unit];
  return `${value < 10 ? value.toFixed(1) : Math.round(value)}\u00a0${unit}`;
}

/** @param {number} seconds */
function duration(seconds) {
  if (seconds < 1) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  if (seconds < 90) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

/** @param {[number, number]} size */
function size([width, height]) {
  return `${whole(width)}\u00a0×\u00a0${whole(height)}`;
}

/** @param {string} format as options call it */
function named(format) {
  return {jpg: 'JPEG', webp: 'WebP', tif: 'TIFF'}[format] ?? format.toUpperCase();
}

/** What the browser's own errors mean here, by their name. @type {Record<string, string>} */
const CAUSES = {
  NotReadableError: 'the file cannot be read: it was changed, moved or removed since it was chosen; add it again',
  NotFoundError: 'the file is not there any more; add it again',
  NotAllowedError: 'the browser did not allow it; try again, and agree when it asks',
  QuotaExceededError: 'the disk is full, and nothing of this picture was written; make room and save it again',
  TypeMismatchError: 'there is a file where a folder of that name is wanted; choose another folder',
  NoModificationAllowedError: 'the folder cannot be written to; choose another one',
  RangeError: 'there is too little memory for this picture in a tab',
};

/** Errors that nobody wrote a sentence for. */
const BUGS = ['TypeError', 'ReferenceError', 'SyntaxError'];

/** Static texts, by the names that index.html gives them. @type {Record<string, string>} */
export const labels = {
  'tagline': 'Pictures made larger, sharply',
  'where': 'Where it computes',
  'where.browser': 'In this browser',
  'theme': 'Colours',
  'theme.system': 'As the system',
  'theme.light': 'Light',
  'theme.dark': 'Dark',
  'drop': 'Add pictures',
  'drop.title': 'Drop pictures or folders here',
  'drop.files': 'Choose pictures',
  'drop.folder': 'Choose a folder',
  'drop.paste': 'or paste one from the clipboard',
  'drop.anywhere': 'Let go to add them',
  'options': 'Options',
  'options.note': 'They count for pictures that are added or tried again from now on.',
  'options.reset': 'Reset',
  'model': 'Model',
  'model.auto': 'auto: suits the picture',
  'model.fsrcnn': 'fsrcnn: clean pictures',
  'model.fsrcnn-photo': 'fsrcnn-photo: photos',
  'model.fsrcnn-photo-mild': 'fsrcnn-photo-mild: compressed photos',
  'model.fsrcnn-photo-strong': 'fsrcnn-photo-strong: sharpened photos',
  'model.strength': 'fsrcnn-photo@…: a strength between',
  'model.fsrcnn-s': 'fsrcnn-s: small and quick',
  'model.fsrcnn-x': 'fsrcnn-x: smallest and quickest',
  'model.help': 'Weights for clean pictures sharpen most; those for photos do not strengthen halos, blocks and noise.',
  'strength': 'Strength',
  'strength.help': '0 is fsrcnn-photo-mild, 1 is fsrcnn-photo-strong.',
  'size': 'Size',
  'size.factor': 'Factor',
  'size.width': 'Width',
  'size.height': 'Height',
  'size.both': 'Width and height',
  'size.fit': 'Fit into a box',
  'size.help': 'A factor above 1, up to 64, or pixels; with one side given the other follows.',
  'factor': 'Factor',
  'width': 'Width in pixels',
  'height': 'Height in pixels',
  'precision': 'Precision',
  'precision.fast': 'fast: whole numbers',
  'precision.exact': 'exact: floating point',
  'precision.help': 'Fast computes in 16 bits, and gives the same pixels on every machine; it wants the native engine, or this browser. Exact is what the command line takes by itself.',
  'format': 'Format',
  'format.same': 'as the picture',
  'format.help': 'PNG keeps every pixel; JPEG, WebP and AVIF are smaller.',
  'quality': 'Quality',
  'quality.help': '1 to 100; where it is empty 92 for JPEG, 90 for WebP, 70 for AVIF.',
  'lossless': 'Lossless',
  'page': 'Page',
  'page.help': 'Of pictures with several pages or frames this one alone, counted from 1; where it is empty all of them.',
  'tolerant': 'Tolerant',
  'tolerant.help': 'Takes what can be decoded of damaged pictures.',
  'lossless.help': 'Keeps every pixel in WebP and AVIF, too.',
  'queue': 'Pictures',
  'queue.cancel': 'Cancel all',
  'queue.retry': 'Try failed ones again',
  'queue.failed': 'Go to the first that failed',
  'queue.zip': 'Save all as zip',
  'queue.folder': 'Save into a folder',
  'queue.forget': 'Remove saved ones',
  'queue.clear': 'Remove all',
  'viewer': 'Before and after',
  'zoom': 'Zoom',
  'zoom.fit': 'Fit',
  'zoom.in': 'Zoom in',
  'zoom.out': 'Zoom out',
  'before': 'Before',
  'before.bicubic': 'bicubic',
  'before.original': 'original pixels',
  'side': 'Side by side',
  'divider': 'Divider between before and after',
  'keys': 'Keys: arrows pan, + and − zoom, 0 fits, 1, 2 and 4 are pixels; two fingers, or Ctrl and the wheel, zoom too.',
  'stage': 'The picture, before and after: arrow keys pan, plus and minus zoom',
  'previous': 'Show the picture before',
  'next': 'Show the next picture',
  'save': 'Save',
  'copy': 'Copy picture',
  'facts': 'What was done',
  'api': 'The interface for programs',
};

export const words = {
  bytes,
  duration,
  size,
  title: (/** @type {string} */ progress) => (progress ? `${progress} · fsrcnn` : 'fsrcnn'),

  // Where it computes.
  onServer: (/** @type {string} */ host) => (host ? `On ${host}` : 'On this computer'),
  browserNote: 'Nothing leaves this browser: pictures are computed in this tab, also without a network.',
  serverNote: (/** @type {string} */ host) =>
    host
      ? `Pictures are sent to ${host}, computed there, and deleted when they were fetched.`
      : 'Pictures go to fsrcnn on this computer and no further: faster, and with TIFF, AVIF and GIF.',
  noServer: 'There is no server behind this page; the command fsrcnn serve starts one, with this page.',
  noEngine: 'The engine for browsers is not part of this installation: pictures are computed by the server.',
  nowhere: 'This page has neither its engine nor a server, and can compute nothing: start fsrcnn serve and open its address.',
  wantsToken: 'The server wants its token: open its address once with ?token=TOKEN behind.',

  // Pictures that come in.
  leftOut: (/** @type {number} */ count) => `${counted(count, 'file', 'files')} that ${count === 1 ? 'is no picture was' : 'are no pictures were'} left out.`,
  unread: (/** @type {string[]} */ names) => `Not read, as the browser may not or they are gone: ${names.join(', ')}.`,
  nothingFound: 'There was no picture in that.',
  added: (/** @type {number} */ count) => `${counted(count, 'picture', 'pictures')} added.`,
  pasted: (/** @type {number} */ number, /** @type {string} */ ending) => `pasted-${number}.${ending}`,

  // Options.
  badFactor: 'A factor is a number above 1, up to 64, as 2 or 1.5.',
  badSide: 'Pixels are a whole number of at least 1.',
  badPage: 'A page is a whole number of at least 1, or empty.',
  badQuality: 'A quality is a whole number from 1 to 100, or empty.',
  badLossless: (/** @type {string} */ format) => `${named(format)} has no lossless kind; take PNG, WebP, TIFF or AVIF, or leave it off.`,
  qualityOfLossless: 'Lossless has no quality: leave one of the two out.',
  serverOnly: (/** @type {string} */ format) => `${named(format)} is written by the server only: choose to compute there, or take PNG, JPEG or WebP.`,
  badOptions: (/** @type {string} */ problem) => `the options are not right: ${problem}`,
  summary: (/** @type {any[]} */ parts) => parts.filter(Boolean).join(' · '),
  named,
  sameFormat: 'same format',
  lossless: 'lossless',

  // The queue.
  waiting: 'waits for its turn',
  uploading: 'is being sent',
  busy: (/** @type {number} */ seconds) => `the server is busy: tries again in ${seconds} s`,
  percent: (/** @type {number} */ part) => `${Math.floor(100 * part)} %`,
  cancelled: 'cancelled',
  saved: 'saved',
  itemProgress: (/** @type {string} */ name) => `Progress of ${name}`,
  show: (/** @type {string} */ name) => `Show ${name}`,
  cancel: (/** @type {string} */ name) => `Cancel ${name}`,
  retry: (/** @type {string} */ name) => `Try ${name} again`,
  remove: (/** @type {string} */ name) => `Remove ${name}`,
  save: (/** @type {string} */ name) => `Save ${name}`,
  onServerInstead: (/** @type {string} */ place) => `Compute ${place.charAt(0).toLowerCase()}${place.slice(1)}`,
  allProgress: 'Progress of all pictures',
  /** @param {string} tally */
  toQueue: (tally) => `${tally}: show the list`,
  tally: (/** @type {number} */ done, /** @type {number} */ all, /** @type {number} */ failed) =>
    `${whole(done)} of ${whole(all)} done${failed ? `, ${whole(failed)} failed` : ''}`,
  left: (/** @type {number} */ seconds) => `about ${duration(seconds)} left`,
  held: (/** @type {number} */ size, /** @type {number} */ saved) =>
    `This tab holds ${bytes(size)} of results${saved ? `, ${bytes(saved)} of them saved` : ''}; they go when it is closed.`,
  finished: (/** @type {number} */ done, /** @type {number} */ failed) =>
    `${counted(done, 'picture is', 'pictures are')} done${failed ? `, ${whole(failed)} failed` : ''}.`,

  // The viewer.
  after: 'after',
  bicubic: 'bicubic',
  original: 'original',
  cannotShow: (/** @type {string} */ name) => `This browser cannot show ${name}; it can be saved all the same.`,
  cannotShowBefore: 'This browser cannot show the original: only the result is here.',
  loading: 'Opening …',
  dividerAt: (/** @type {number} */ part) => `${Math.round(100 * part)} % before`,

  // Facts.
  factSize: 'Size',
  factBytes: 'File',
  factTime: 'Time',
  factModel: 'Model',
  factEngine: 'Engine',
  factCommand: 'The same by the command line',
  grown: (/** @type {string} */ before, /** @type {string} */ after) => `${before} → ${after}`,
  because: (/** @type {string} */ model, /** @type {string} */ reason) => `${model}: ${reason}`,
  noModel: 'none',
  noLarger: 'no network was run, as the result is no larger than the picture',
  engineOfBrowser: (/** @type {string} */ precision) => `WebAssembly in this browser, ${precision}`,
  engineOfServer: (/** @type {string} */ host, /** @type {string} */ engine, /** @type {string} */ precision) => `fsrcnn serve at ${host}, ${engine}, ${precision}`,
  sameBytes: 'This command writes the same bytes.',
  samePixels: 'This command writes the same pixels; the file around them is written by this page.',
  decodedHere: 'This command may start from slightly different pixels: here the browser decoded the picture.',
  encodedHere: 'This command encodes a little differently: here the browser did it.',
  roundedHere: 'This command may round a pixel now and then the other way: floating point differs between processors.',
  copyCommand: 'Copy command',
  notes: 'Notes',

  // Saving.
  copied: 'Copied.',
  copying: 'Copying …',
  copyPicture: (/** @type {string} */ name) => `${name} is in the clipboard, as PNG.`,
  cannotCopyText: 'This page may not use the clipboard: mark the text and copy it.',
  cannotCopy: 'This browser lets no page put pictures into the clipboard; save it instead.',
  archive: 'pictures.zip',
  zipping: (/** @type {number} */ part) => `Making the zip: ${Math.floor(100 * part)} %`,
  zipped: (/** @type {number} */ count) => `${counted(count, 'picture', 'pictures')} in the zip.`,
  intoFolder: (/** @type {string} */ folder) => `Results are saved into ${folder}, those to come as soon as they are done.`,
  notIntoFolder: (/** @type {string} */ name, /** @type {string} */ problem) => `${name} was not saved: ${problem}.`,

  // What goes wrong.
  gone: 'the server does not answer: it was ended, or the connection is gone; start it and try again',
  cutOff: 'the server ended before it came to this picture; start it and try again',
  /** Where it stands alone. @param {string} sentence */
  asLine: (sentence) => `${sentence.charAt(0).toUpperCase()}${sentence.slice(1).replace(/\.$/, '')}.`,
  tooLarge: (/** @type {[number, number]} */ wanted) => `a result of ${size(wanted)} pixels is too large for this tab: give a smaller size`,
  /** What the server advises, in the words of this form: `page=1` → “Page” 1. @param {string} sentence */
  asOption: (sentence) =>
    sentence.replace(/\b(model|precision|format|quality|lossless|page|tolerant|scale|width|height|fit)=([\w.@-]+)/g, (_, name, value) => {
      const label = labels[name === 'scale' ? 'factor' : name === 'fit' ? 'size.fit' : name];
      return value === 'true' ? `“${label}”` : `“${label}” ${value}`;
    }),
  answered: (/** @type {number} */ status) => `the server answered ${status} without saying why`,
  /** An error in one sentence. @param {any} error */
  sentence: (error) => {
    const isBug = !(error instanceof Error) || error instanceof DOMException || BUGS.includes(error.name);
    return CAUSES[error?.name] ?? (isBug ? `this page failed: ${String(error?.message ?? error).replace(/\.$/, '')}` : error.message);
  },
};
