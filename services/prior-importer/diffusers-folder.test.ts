// Imported priors against diffusers', with the numbers of testing/unet2d-vectors.json (test/peer/unet2d_vectors.py).
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { temporaryFolder, write } from '../../data/fixtures.ts';
import { toX0 } from '../../models/denoiser.ts';
import { latestTime, networkFeatures, predict, featureCount } from '../../models/denoiser-network.ts';
import { cosineTime } from '../../models/schedule.ts';
import { drawn, drawnParameters } from '../../models/testing/drawn.ts';
import type { UNet2DConfig } from '../../models/unet2d/config.ts';
import { unet2dShapes } from '../../models/unet2d/config.ts';
import { unet2d } from '../../models/unet2d/network.ts';
import { stepsAt, trainingLevels, trainingTimes } from '../../models/unet2d/timesteps.ts';
import { float32, zeros } from '../../tensor/array.ts';
import type { ArrayMap, NdArray } from '../../tensor/array.ts';
import { compile } from '../../tensor/compile.ts';
import { encodeSafetensors } from '../../tensor/safetensors.ts';
import tf from '../../tensor/tf.ts';
import type { Tensor, Tensor4D } from '../../tensor/tf.ts';
import { specOf } from '../../tensor/tree.ts';
import { readDiffusersFolder } from './diffusers-folder.ts';
import { networkOf, noiseOf, predictionOf, schedulerSchema, unet2dSchema } from './unet2d-schema.ts';

interface Vectors {
  readonly networks: Readonly<
    Record<string, { readonly config: object; readonly steps: number[]; readonly output: number[] }>
  >;
  readonly schedulers: readonly {
    readonly schedule: string;
    readonly prediction: string;
    readonly step: number;
    readonly signal: number[];
    readonly clean: number[];
  }[];
}
const FILE = new URL('testing/unet2d-vectors.json', import.meta.url);
const { networks, schedulers } = JSON.parse(readFileSync(FILE, 'utf8')) as Vectors;
const PIXELS = 8;
const DDPM = { _class_name: 'DDPMScheduler', num_train_timesteps: 1000, prediction_type: 'epsilon' };

await tf.setBackend('cpu');
const folder = temporaryFolder();
afterAll(() => folder.remove());

function networkFrom(config: object): UNet2DConfig {
  return networkOf(unet2dSchema.parse(config), noiseOf(schedulerSchema.parse(DDPM)));
}

/** Attention's layers as diffusers stores them: [out, in]. */
function asSaved(params: ArrayMap): ArrayMap {
  const entries = Object.entries(params).map(([name, array]): [string, NdArray] => {
    const isLinear = name.includes('.attentions.') && array.shape.length === 4;
    return [name, isLinear ? { ...array, shape: array.shape.slice(0, 2) } : array];
  });
  return Object.fromEntries(entries);
}

let folders = 0;
/** A folder as `save_pretrained` writes it; null leaves a file out. */
function savedFolder(config: object | null, scheduler: object | null, arrays: ArrayMap | null): string {
  const dir = join(folder.path, `prior-${folders++}`);
  write(join(dir, 'README.md'), '');
  if (config !== null) write(join(dir, 'config.json'), JSON.stringify(config));
  if (scheduler !== null) write(join(dir, 'scheduler_config.json'), JSON.stringify(scheduler));
  if (arrays !== null)
    write(join(dir, 'diffusion_pytorch_model.safetensors'), encodeSafetensors(arrays, { format: 'pt' }));
  return dir;
}

describe.each(Object.entries(networks))('a UNet2DModel %s', (_, { config, steps, output }) => {
  const network = networkFrom(config);
  const { params } = drawnParameters(unet2dShapes(network));

  it('is read from its folder, parameter by parameter', async () => {
    const read = await readDiffusersFolder(savedFolder(config, DDPM, asSaved(params)));
    expect(read.params).toEqual(params);
    expect(read.model).toEqual({
      ...{ kind: 'denoiser', network, prediction: 'epsilon', datasetDigest: null, steps: null },
      image: { height: PIXELS, width: PIXELS, channels: network.channels },
    });
  });

  const engines = network.channels === 3 ? ['onnxruntime', 'reference'] : ['onnxruntime'];
  it.each(engines)('puts out what diffusers’ does, on engine %s', async (engine) => {
    const noised = drawn(1000, [steps.length, network.channels, PIXELS, PIXELS]);
    const inputs = {
      x: { ...noised, data: noised.data.map((value) => 4 * value) },
      steps: float32([steps.length], steps),
    };
    const run = (given: { params: Record<string, Tensor>; x: Tensor; steps: Tensor }) => ({
      y: unet2d(network, given.params, given.x as Tensor4D, given.steps),
    });
    const executable = await compile(run, specOf(inputs), { engine, constants: { params } });
    const { y } = await executable.run(inputs);
    await executable.dispose();
    const scale = Math.sqrt(output.reduce((sum, value) => sum + value * value, 0) / output.length);
    const furthest = Math.max(...output.map((value, i) => Math.abs(y.data[i]! - value) / scale));
    expect(furthest).toBeLessThan(1e-5);
  });
});

describe.each(schedulers)('noise $schedule, prediction $prediction', (expected) => {
  const fields = schedulerSchema.parse({
    ...{ beta_schedule: expected.schedule, prediction_type: expected.prediction },
    ...{ beta_start: 2e-4, beta_end: 0.015 },
  });
  const noise = noiseOf(fields);
  const levels = trainingLevels(noise);

  it('gives the levels and the clean image of diffusers’ scheduler', () => {
    [0, 1, 500, 900].forEach((step, i) =>
      expect(Math.abs(levels[step]!.a / expected.signal[i]! - 1)).toBeLessThan(1e-4),
    );
    const { a, s } = levels[expected.step]!;
    const [x, output] = [1, 2].map((stream) => tensor(drawn(stream, [1, 1, 2, 3])));
    const level = { t: tf.scalar(0), a: tf.scalar(a), s: tf.scalar(s) };
    const clean = toX0(predictionOf(fields), output!, x!, level).dataSync();
    expected.clean.forEach((value, i) =>
      expect(Math.abs(clean[i]! - value)).toBeLessThan(1e-5 * (1 + Math.abs(value))),
    );
  });

  it('has every step at its time, between two of them both, and none beyond the ends', () => {
    const steps = [0, 1, 7, 500, 998, 999];
    const times = steps.map((step) => cosineTime(levels[step]!));
    const found = stepsAt(noise, tf.tensor1d(times)).dataSync();
    steps.forEach((step, i) => expect(Math.abs(found[i]! - step)).toBeLessThan(0.01));
    const [early, late] = [trainingTimes(noise)[400]!, trainingTimes(noise)[401]!];
    const others = stepsAt(noise, tf.tensor1d([0, (early + late) / 2, 1])).dataSync();
    expect(others[0]).toBe(0);
    expect(Math.abs(others[1]! - 400.5)).toBeLessThan(0.01);
    expect(others[2]).toBe(999);
  });
});

function tensor({ data, shape }: NdArray): Tensor4D {
  return tf.tensor4d(data, shape as [number, number, number, number]);
}

describe('an imported network', () => {
  const network = networkFrom(networks['as the first DDPMs']!.config);
  const params = Object.fromEntries(
    Object.entries(drawnParameters(unet2dShapes(network)).params).map(([name, { data, shape }]) => [
      ...[name, tf.tensor(data, [...shape])],
    ]),
  ) as Record<string, Tensor>;
  const x = tensor(drawn(7, [2, 3, PIXELS, PIXELS]));

  it('receives the step that belongs to our time', () => {
    const t = trainingTimes(network.noise)[300]!;
    const [ours, theirs] = [
      predict(network, params, x, tf.scalar(t)),
      unet2d(network, params, x, tf.scalar(300)),
    ];
    expect(tf.max(tf.abs(tf.sub(ours, theirs))).dataSync()[0]).toBeLessThan(1e-3);
    expect(latestTime(network)).toBe(trainingTimes(network.noise)[999]);
  });

  it('has features for a head', () => {
    const features = networkFeatures(network, params, x, tf.tensor1d([0.2, 0.8]));
    expect(features.shape).toEqual([2, featureCount(network)]);
    expect(featureCount(network)).toBe(8 + 10 * 16);
    expect(Array.from(features.dataSync()).every(Number.isFinite)).toBe(true);
  });
});

describe('a folder that cannot be taken', () => {
  const { config } = networks['as the first DDPMs']!;
  const arrays = asSaved(drawnParameters(unet2dShapes(networkFrom(config))).params);
  const first = Object.keys(arrays).sort()[0]!;
  const without = (name: string) =>
    Object.fromEntries(Object.entries(arrays).filter(([other]) => other !== name));

  it.each([
    ['another model', { _class_name: 'UNet2DConditionModel' }, /_class_name is 'UNet2DConditionModel'/],
    [
      'other blocks',
      { down_block_types: ['DownBlock2D', 'SkipDownBlock2D', 'DownBlock2D'] },
      /down_block_types\[1\]/,
    ],
    ['classes', { num_class_embeds: 10 }, /num_class_embeds is 10; only null can be imported/],
    ['latents', { in_channels: 4, out_channels: 4 }, /in_channels is 4/],
    ['variances', { in_channels: 1 }, /out_channels is 3, in_channels 1/],
    ['another time', { time_embedding_type: 'fourier' }, /time_embedding_type is 'fourier'/],
    ['another activation', { act_fn: 'mish' }, /act_fn is 'mish'/],
    [
      'too few blocks',
      { up_block_types: ['UpBlock2D'] },
      /up_block_types has 1 entries, block_out_channels 3/,
    ],
    [
      'odd groups',
      { norm_num_groups: 3 },
      /block_out_channels holds 8, which is not a multiple of norm_num_groups \(3\)/,
    ],
    [
      'odd heads',
      { attention_head_dim: 5 },
      /attention_head_dim is 5, which does not divide the 16 features/,
    ],
    [
      'no image size',
      { sample_size: null },
      /sample_size is missing; say how large its images are with --image-size N/,
    ],
    ['an odd image size', { sample_size: 10 }, /images of 10×10 cannot be halved 2 times/],
    ['a size out of all reason', { block_out_channels: [8, 16, 1e9] }, /block_out_channels\[2\]/],
  ])('names %s', async (_, change, message) => {
    const dir = savedFolder({ ...config, ...change }, DDPM, arrays);
    await expect(readDiffusersFolder(dir)).rejects.toThrow(message);
    await expect(readDiffusersFolder(dir)).rejects.toThrow(join(dir, 'config.json'));
  });

  it.each([
    ['a scheduler of another kind', { _class_name: 'FlowMatchEulerDiscreteScheduler' }, /_class_name/],
    ['another schedule', { beta_schedule: 'sigmoid' }, /beta_schedule is 'sigmoid'/],
    ['another prediction', { prediction_type: 'flow_prediction' }, /prediction_type is 'flow_prediction'/],
  ])('names %s', async (_, change, message) => {
    const dir = savedFolder(config, { ...DDPM, ...change }, arrays);
    await expect(readDiffusersFolder(dir)).rejects.toThrow(message);
  });

  it('says what is missing, too much, or of another shape', async () => {
    const read = (changed: ArrayMap) => readDiffusersFolder(savedFolder(config, DDPM, changed));
    await expect(read(without(first))).rejects.toThrow(`it lacks '${first}'`);
    await expect(read({ ...arrays, more: zeros([1]) })).rejects.toThrow(
      "it holds 'more', which the network does not have",
    );
    await expect(read({ ...arrays, [first]: zeros([3]) })).rejects.toThrow(`'${first}' is [3], not [`);
    const whole: NdArray = {
      dtype: 'int32',
      shape: arrays[first]!.shape,
      data: new Int32Array(arrays[first]!.data.length),
    };
    await expect(read({ ...arrays, [first]: whole })).rejects.toThrow(`'${first}' holds int32`);
  });

  it('says which file is missing, and what to do', async () => {
    await expect(readDiffusersFolder(join(folder.path, 'nowhere'))).rejects.toThrow('no such folder');
    await expect(readDiffusersFolder(savedFolder(null, DDPM, arrays))).rejects.toThrow(
      'holds neither a config.json nor a folder unet',
    );
    await expect(readDiffusersFolder(savedFolder(config, null, arrays))).rejects.toThrow(
      'name one with --scheduler FILE',
    );
    const pickled = savedFolder(config, DDPM, null);
    await expect(readDiffusersFolder(pickled)).rejects.toThrow(
      'holds no diffusion_pytorch_model.safetensors',
    );
    write(join(pickled, 'diffusion_pytorch_model.bin'), '');
    await expect(readDiffusersFolder(pickled)).rejects.toThrow(
      'in diffusion_pytorch_model.bin, a pickled file, which can run code and is not read; save it again',
    );
  });

  it('takes a pipeline’s folders, former names, and a scheduler from elsewhere', async () => {
    const dir = savedFolder(null, null, null);
    const former = Object.entries(arrays).map(([name, array]): [string, NdArray] => [
      name.replace('.to_q.', '.query.').replace('.to_k.', '.key.').replace('.to_v.', '.value.').replace('.to_out.0.', '.proj_attn.'), // prettier-ignore
      array,
    ]);
    write(join(dir, 'unet', 'config.json'), JSON.stringify(config));
    write(
      join(dir, 'unet', 'diffusion_pytorch_model.safetensors'),
      encodeSafetensors(Object.fromEntries(former)),
    );
    write(
      join(dir, 'scheduler', 'scheduler_config.json'),
      JSON.stringify({ ...DDPM, prediction_type: 'sample' }),
    );
    const { model, params } = await readDiffusersFolder(dir);
    expect(model.prediction).toBe('x0');
    expect(params).toEqual(drawnParameters(unet2dShapes(networkFrom(config))).params);
    expect((await readDiffusersFolder(join(dir, 'unet'))).model).toEqual(model);
    const other = join(dir, 'other.json');
    write(other, JSON.stringify({ ...DDPM, prediction_type: 'v_prediction' }));
    const chosen = await readDiffusersFolder(dir, { scheduler: other, imageSize: 16 });
    expect(chosen.model).toMatchObject({ prediction: 'v', image: { height: 16, width: 16, channels: 3 } });
  });
});
