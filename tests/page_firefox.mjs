// The page in Firefox: a picture by both engines, a drag of the divider. node page_firefox.mjs FIREFOX ADDRESS PICTURE; prints JSON.

import {createRequire} from 'node:module';
import {pathToFileURL} from 'node:url';

const require = createRequire(new URL('../web/package.json', import.meta.url));
const {default: puppeteer} = await import(pathToFileURL(require.resolve('puppeteer-core')).href);
const [firefox, address, picture] = process.argv.slice(2);

const browser = await puppeteer.launch({browser: 'firefox', executablePath: firefox, headless: true});
try {
  const page = await browser.newPage(), complaints = [];
  page.on('console', (message) => ['error', 'warn'].includes(message.type()) && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.setViewport({width: 1280, height: 800});
  await page.goto(address);
  await page.waitForFunction(() => document.querySelector('input[name=where]:checked:enabled'));
  await page.evaluate(() => {
    globalThis.saved = [];
    const made = URL.createObjectURL;
    URL.createObjectURL = (blob) => (saved.push(blob), made(blob));
  });
  await page.select('#model', 'fsrcnn');
  const said = {};
  for (const where of ['server', 'browser']) {
    await page.evaluate((value) => document.querySelector(`input[value=${value}]`).click(), where);
    await (await page.$('#files')).uploadFile(picture);
    await page.waitForSelector('#items li[data-state=done]');
    said[where] = await page.evaluate(async () => {
      document.querySelector('#save').click();
      const bytes = new Uint8Array(await saved.at(-1).arrayBuffer());
      return btoa(String.fromCharCode(...bytes));
    });
    if (where === 'server') await page.evaluate(() => document.querySelector('#clear').click());
  }
  await page.waitForSelector('#stage[data-empty=false]');
  await page.evaluate(() => document.querySelector('[data-zoom="1"]').click());
  await page.waitForFunction(() => document.querySelector('#zoom-shown').textContent.startsWith('100'));
  const {x, y, width, height} = await (await page.$('#stage')).boundingBox();
  const side = await page.evaluate(() => createImageBitmap(saved.at(-1)).then((bitmap) => bitmap.width));
  await page.mouse.move(x + width / 2, y + height / 2);
  await page.mouse.down();
  await page.mouse.move(x + width / 2 - side / 8, y + height / 2, {steps: 5});
  await page.mouse.move(x + width / 2 - side / 4, y + height / 2, {steps: 5});
  await page.mouse.up();
  await new Promise((resolve) => setTimeout(resolve, 1000)); // until the bicubic side is there
  said.canvas = await page.evaluate(() => document.querySelector('#canvas').toDataURL());
  console.log(JSON.stringify({...said, complaints}));
} finally {
  await browser.close();
}
