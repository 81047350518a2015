// One picture read or written, and the end: whoever wants to stop it ends this worker.

import {PictureError} from './errors.js';
import {read} from './reading.js';
import {write} from './writing.js';

addEventListener('message', async ({data: {task, given}}) => {
  try {
    if (task === 'read') {
      const picture = await read(given[0], given[1]);
      postMessage({result: picture}, {transfer: [picture.pixels.data.buffer]});
    } else {
      postMessage({result: await write(given[0], given[1])});
    }
  } catch (error) {
    const causes = [];
    for (let cause = error; cause instanceof Error; cause = cause.cause) causes.push(String(cause));
    postMessage({sentence: error instanceof PictureError ? error.message : null, detail: causes.join('; ')});
  }
});
