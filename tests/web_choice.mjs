// What the package measures of pictures and chooses for them, each as a line of JSON: [name, features, choice]. For tests/test_web_choice.py.

import {readFile} from 'node:fs/promises';

const [, , dist, folder] = process.argv;
const {Upscaler} = await import(`${dist}/index.js`);
const {features} = await import(`${dist}/choice.js`);
const {estimatesOf} = await import(`${dist}/estimates.js`);

const types = {uint8: Uint8Array, uint16: Uint16Array, float32: Float32Array};
const up = await Upscaler.load('auto', {threads: 1});
for (const {name, dtype, width, height, channels, scale, compression} of JSON.parse(await readFile(`${folder}/cases.json`, 'utf8'))) {
  const bytes = await readFile(`${folder}/${name}`), data = new types[dtype](new Uint8Array(bytes).buffer);
  const picture = {data, width, height, channels};
  const choice = await up.choose(picture, {size: {factor: scale}, compression});
  if (data.length !== width * height * channels) throw new Error(`${name}: its samples are gone`);
  console.log(JSON.stringify([name, features(estimatesOf(picture), compression), choice]));
}
