// One picture read or written, and the end: whoever wants to stop it ends this worker.

import {PictureError} from './errors.js';
import {read} from './reading.js';
import {write} from './writing.js';

addEventListener('message', async ({data: {task, given}}) => {
  try {
    const result = await (task === 'read' ? read : write)(...given);
    const transfer = task === 'read' ? [result.pixels.data.buffer] : [];
    postMessage({result}, {transfer});
  } catch (error) {
    postMessage({sentence: error instanceof PictureError ? error.message : null, detail: String(error)});
  }
});
