/** Unguided samples of a prior: DPM-Solver++(2M) from pure noise. */
import type { DeviceName } from '../../common/engine-names.ts';
import { writeFileAtomic } from '../../common/files.ts';
import { toBytes } from '../../data/preprocess.ts';
import { latestTime } from '../../models/denoiser-network.ts';
import type { DenoiserModel, ImageShape, LoadedModel } from '../../models/model-file.ts';
import { samplingStep } from '../../models/guided-step.ts';
import { samplerSteps } from '../../models/sampler.ts';
import { uniformLevels } from '../../models/schedule.ts';
import { pngGrid } from '../../report/pictures/png-grid.ts';
import { zeros } from '../../tensor/array.ts';
import type { NdArray } from '../../tensor/array.ts';
import { compile } from '../../tensor/compile.ts';
import { foldIn, keyFromSeed, normal } from '../../tensor/random.ts';
import { sampled, SAMPLER_STATE } from '../sampler-loop.ts';

export interface SampleOptions {
  readonly count: number;
  readonly seed: number;
  readonly threads: number;
  readonly engine: string;
  readonly device?: DeviceName;
  readonly steps?: number;
}

/** Pixels of the images that are drawn together: a whole picture of small ones, or one of 256 × 256. */
const PIXELS_TOGETHER = 2 ** 16;

/** `count` images as bytes [count, h, w, c]; image i depends only on (seed, i). */
export async function samplePrior(
  { model, params }: LoadedModel<DenoiserModel>,
  { count, seed, threads, engine, device, steps = 20 }: SampleOptions,
): Promise<Uint8Array> {
  const { height, width, channels } = model.image;
  const together = Math.min(count, Math.max(1, Math.floor(PIXELS_TOGETHER / (height * width))));
  const shape = [together, channels, height, width];
  const scalar = { shape: [], dtype: 'float32' } as const;
  const image = { shape, dtype: 'float32' } as const;
  const network = { network: model.network, prediction: model.prediction };
  const step = await compile(
    samplingStep(network, { clip: true }),
    { x: image, previousX0: image, t: scalar, a: scalar, s: scalar, cX: scalar, cD: scalar, cP: scalar },
    { engine, device, threads, constants: { prior: params }, keep: SAMPLER_STATE },
  );
  const rows = samplerSteps('dpmpp-2m', uniformLevels(latestTime(model.network), steps));
  const size = height * width * channels;
  const images = new Uint8Array(count * size);
  for (let first = 0; first < count; first += together) {
    const x = await sampled(step, noiseOf(seed, first, shape), rows, () => ({}));
    const drawn = toBytes(x.data as Float32Array, together, height, width, channels);
    images.set(drawn.subarray(0, (count - first) * size), first * size);
  }
  await step.dispose();
  return images;
}

/** Noise of the images from `first` on: [n, c, h, w]. */
function noiseOf(seed: number, first: number, shape: readonly number[]): NdArray {
  const noise = zeros(shape);
  const size = noise.data.length / shape[0]!;
  for (let i = 0; i < shape[0]!; i++)
    (noise.data as Float32Array).set(normal(foldIn(keyFromSeed(seed), 'sample', first + i), size), i * size);
  return noise;
}

/** Writes the images as a PNG, eight per row. */
export async function writeSampleGrid(path: string, images: Uint8Array, image: ImageShape): Promise<void> {
  const count = images.length / (image.height * image.width * image.channels);
  const rows = Array.from({ length: Math.ceil(count / 8) }, (_, row) =>
    Array.from({ length: Math.min(8, count - row * 8) }, (_, column) => row * 8 + column),
  );
  await writeFileAtomic(path, await pngGrid({ images, ...image, rows }));
}
