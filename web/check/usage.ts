// What the types promise; never run. `npm run check` compiles it.
import {MODELS, UpscaleError, Upscaler, type Choice, type Pixels} from 'fsrcnn';
import * as package_ from '../dist/index.js';

export async function used(picture: ImageData, bitmap: ImageBitmap, file: Uint8Array): Promise<void> {
  const up = await Upscaler.load('fsrcnn', {scale: 2, precision: 'exact', threads: 2, base: new URL('https://example.org/')});
  const large: ImageData = await up.upscale(picture, {signal: new AbortController().signal, onProgress: (done: number) => void done});
  const also: ImageData = await up.upscale(bitmap, {size: {fit: [1920, 1080]}});
  const deep: Pixels<Uint16Array> = await up.upscale({data: new Uint16Array(6), width: 2, height: 1, channels: 3});
  const auto = await Upscaler.load('auto');
  const choice: Choice | null = await auto.choose(bitmap, {size: {width: 640}, compression: {format: 'JPEG', quality: 75}});
  await auto.upscale(picture, {compression: {format: 'WebP'}, onChoice: ({model, reason}) => void `${model}: ${reason}, ${choice?.expected['fsrcnn']}`});
  const own = await Upscaler.load(file);
  own.close();
  const error: Error = new UpscaleError(`${MODELS[0]} ${large.width} ${also.width} ${deep.channels}`);
  // @ts-expect-error: no such precision
  await Upscaler.load('fsrcnn', {precision: 'quick'});
  // @ts-expect-error: samples alone do not say their size
  await up.upscale(file);
  // @ts-expect-error: no pixels
  await up.upscale('photo.jpg');
  // The module has what its types declare.
  const declared: typeof Upscaler.load = package_.Upscaler.load as unknown as typeof Upscaler.load;
  const models: string[] = package_.MODELS;
  void [error, declared, models];
}
