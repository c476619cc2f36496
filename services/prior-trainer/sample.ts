/** Unguided samples of a prior: DPM-Solver++(2M) from pure noise. */
import type { DeviceName } from '../../common/engine-names.ts';
import { writeFileAtomic } from '../../common/files.ts';
import { toBytes } from '../../data/preprocess.ts';
import type { DenoiserModel, ImageShape, LoadedModel } from '../../models/model-file.ts';
import { samplingStep } from '../../models/guided-step.ts';
import { samplerSteps } from '../../models/sampler.ts';
import type { SamplerStep } from '../../models/sampler.ts';
import { uniformLevels } from '../../models/schedule.ts';
import { pngGrid } from '../../report/pictures/png-grid.ts';
import { float32, zeros } from '../../tensor/array.ts';
import type { NdArray } from '../../tensor/array.ts';
import { compile } from '../../tensor/compile.ts';
import { foldIn, keyFromSeed, normal } from '../../tensor/random.ts';

export interface SampleOptions {
  readonly count: number;
  readonly seed: number;
  readonly threads: number;
  readonly engine: string;
  readonly device?: DeviceName;
  readonly steps?: number;
}

/** `count` images as bytes [count, h, w, c]; image i depends on (seed, i) alone. */
export async function samplePrior(
  { model, params }: LoadedModel<DenoiserModel>,
  { count, seed, threads, engine, device, steps = 20 }: SampleOptions,
): Promise<Uint8Array> {
  const { height, width, channels } = model.image;
  const shape = [count, channels, height, width];
  const scalar = { shape: [], dtype: 'float32' } as const;
  const image = { shape, dtype: 'float32' } as const;
  const network = { unet: model.network, prediction: model.prediction };
  const step = await compile(
    samplingStep(network, { clip: true }),
    { x: image, previousX0: image, t: scalar, a: scalar, s: scalar, cX: scalar, cD: scalar, cP: scalar },
    { engine, device, threads, constants: { prior: params } },
  );
  const size = height * width * channels;
  const noise = new Float32Array(count * size);
  for (let i = 0; i < count; i++) noise.set(normal(foldIn(keyFromSeed(seed), 'sample', i), size), i * size);
  let x: NdArray = { dtype: 'float32', shape, data: noise };
  let previousX0: NdArray = zeros(shape);
  for (const row of samplerSteps('dpmpp-2m', uniformLevels(1, steps))) {
    const result = await step.run({ x, previousX0, ...scalarsOf(row) });
    ({ x, x0: previousX0 } = result);
  }
  await step.dispose();
  return toBytes(x.data as Float32Array, count, height, width, channels);
}

/** A row of the sampler's table as the scalar inputs of a sampling step. */
export function scalarsOf({ t, a, s, cX, cD, cP }: SamplerStep) {
  const scalar = (value: number): NdArray => float32([], [value]);
  return { t: scalar(t), a: scalar(a), s: scalar(s), cX: scalar(cX), cD: scalar(cD), cP: scalar(cP) };
}

/** Writes the images as a PNG, eight a row. */
export async function writeSampleGrid(path: string, images: Uint8Array, image: ImageShape): Promise<void> {
  const count = images.length / (image.height * image.width * image.channels);
  const rows = Array.from({ length: Math.ceil(count / 8) }, (_, row) =>
    Array.from({ length: Math.min(8, count - row * 8) }, (_, column) => row * 8 + column),
  );
  await writeFileAtomic(path, await pngGrid({ images, ...image, rows }));
}
