// Before `npm pack`: nothing is missing, and the licence lies where npm takes it from.

import {copyFileSync, existsSync} from 'node:fs';

if (!existsSync('dist/fsrcnn.wasm') || !existsSync('dist/index.js')) {
  console.error('there is no engine in dist/: type make web in the repository first');
  process.exit(1);
}
copyFileSync('../LICENSE', 'LICENSE');
