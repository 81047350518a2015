// All sentences and notes about files, in the words of `fsrcnn upscale`. A name is the file's own; what a browser cannot do is said
// with who can.

const SERVER = '“On this computer” or the command line';

export const ERRORS = {
  empty: (/** @type {string} */ name) => `${name} is empty (0 bytes)`,
  unreadable: (/** @type {string} */ name) => `${name} cannot be read: it was moved, changed or deleted, or may not be read`,
  noPicture: (/** @type {string} */ name) => `${name} is not a picture that this browser engine reads (png, jpg, webp)`,
  otherFormat: (/** @type {string} */ name, /** @type {string} */ kind) =>
    `${name} is ${kind === 'AVIF' ? 'an' : 'a'} ${kind}; in the browser PNG, JPEG and WebP are taken, and ${SERVER} takes this one, too`,
  heic: (/** @type {string} */ name) => `${name} is HEIC; in the browser PNG, JPEG and WebP are taken: make it one of these first`,
  longFile: (/** @type {string} */ name) => `${name} is larger than 2.1 GB, the most that a browser holds in one piece; the command line takes more`,
  tooLarge: (/** @type {string} */ name, /** @type {number} */ width, /** @type {number} */ height, /** @type {string} */ counted, /** @type {string} */ limit) =>
    `${name} has ${width}×${height} = ${counted}, more than the limit of ${limit}; if you trust the file, the command line takes it with --max-pixels`,
  truncated: (/** @type {string} */ name) => `${name} is truncated; the command line takes what is left of it with --tolerant`,
  damaged: (/** @type {string} */ name) => `${name} is damaged, or of a kind that fsrcnn does not read; the command line takes what can be decoded of it with --tolerant`,
  frames: (/** @type {string} */ name, /** @type {number} */ count) =>
    `${name} has ${count} frames; in the browser a picture has one, and ${SERVER} takes all of them`,
  cmyk: (/** @type {string} */ name) => `${name} is a CMYK JPEG; in the browser grey and RGB are taken, and ${SERVER} takes this one, too`,
  ofKind: (/** @type {string} */ name, /** @type {string} */ kind) => `${name} is a ${kind} JPEG, which this browser does not decode; ${SERVER} may`,
  memory: (/** @type {string} */ name, /** @type {number} */ width, /** @type {number} */ height) =>
    `${name}: ${width}×${height} pixels are more than the memory of this tab holds; take ${SERVER}`,
  longSide: (/** @type {number} */ width, /** @type {number} */ height, /** @type {string} */ format, /** @type {number} */ most) =>
    `the result would have ${width}×${height} pixels, but ${format} holds at most ${most.toLocaleString('en')} on a side; give png as its format`,
  format: (/** @type {unknown} */ format) => `pictures are written as png, jpg, webp in the browser, not as ${format}; ${SERVER} writes tif, avif and gif, too`,
  quality: (/** @type {unknown} */ quality) => `quality is a whole number from 1 to 100, not ${quality}`,
  qualityAndLossless: 'a picture that keeps every pixel has no quality; give either lossless or quality',
  neverLossless: (/** @type {string} */ format) => `${format} is never lossless; give png or webp as the format`,
  losslessBits: (/** @type {string} */ format) => `${format} cannot keep every pixel of a picture of 16 bits; give png as the format`,
  hdr: (/** @type {string} */ curve, /** @type {string} */ format) => `the colours of the picture are HDR (${curve}), which ${format} cannot say; give png as the format`,
  noWriter: (/** @type {string} */ format) => `this browser writes no ${format}; give png or jpg as the format, or take ${SERVER}`,
  noEncoding: (/** @type {number} */ width, /** @type {number} */ height, /** @type {string} */ format) =>
    `this browser cannot encode ${width}×${height} pixels as ${format}; give png as the format, or take ${SERVER}`,
  altered: `this browser alters what a page reads of pictures (a guard against fingerprints); allow it for this page, or take ${SERVER}`,
  outOfMemory: 'the memory of this tab is not enough for this picture; give a smaller size, or take “On this computer”',
  broken: (/** @type {string} */ name) => `${name}: the part of this page that reads and writes files failed; load the page again`,
};

export const NOTES = {
  endMissing: 'its end marker is missing; every pixel is there',
  damagedPart: 'a part of its metadata is damaged and left out',
  damaged: (/** @type {string} */ what) => `its ${what} is damaged and left out`,
  afterPixels: (/** @type {string} */ kind) => `its ${kind} is left out: it follows the pixels`,
  profile: (/** @type {boolean} */ grey) => `its ICC profile is left out: it is damaged, or not one of ${grey ? 'grey' : 'RGB'}`,
  shape: (/** @type {number} */ ratio) => `that its pixels are ${Number(ratio.toPrecision(3))} times as wide as high is left out`,
  further: (/** @type {number} */ count) => `${count} more picture${count > 1 ? 's' : ''} in its file (MPF) ${count > 1 ? 'are' : 'is'} left out`,
  extension: 'the extension of its XMP is left out',
  gainMap: 'its gain map is left out: the picture is what screens without HDR show',
  video: 'its video (motion photo) is left out',
  notHeld: (/** @type {string} */ what, /** @type {string} */ format) => `its ${what} is left out: ${format} holds none`,
  light: 'its light levels (mDCV, cLLI) are left out: only png holds them',
  texts: (/** @type {string} */ keywords) => `its texts (${keywords}) are left out: only png holds them`,
  codePoints: (/** @type {number} */ primaries, /** @type {number} */ transfer, /** @type {string} */ format) =>
    `its colour (code points ${primaries}, ${transfer}) is left out: ${format} cannot say it`,
  gamma: 'its gamma and chromaticities mean nothing and are left out',
  makerNote: 'the maker note of its EXIF is left out: jpg holds at most 64 kB of EXIF',
  largeInJpeg: (/** @type {string} */ what) => `its ${what} is left out: jpg holds at most 64 kB of it`,
  bits: (/** @type {string} */ format) => `its 16 bits became 8: ${format} holds no more`,
  transparency: 'its transparency is left out: jpg holds none, so what was transparent became white',
  premultiplied: 'colours under low transparency are less exact: this browser reads them multiplied by it',
};
