/**
 * A diffusion prior from a folder that diffusers saved: a `UNet2DModel`, alone (`config.json`, weights) or in a
 * pipeline (`unet/` and `scheduler/` below it). Only safetensors are read, because a pickled file may run code.
 */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { readBounded } from '../../common/bounded-file.ts';
import { errorCode, UserError } from '../../common/errors.ts';
import { type ConfigSource, loadConfigFile } from '../../config/load.ts';
import { parseStrict } from '../../config/validation.ts';
import type { DenoiserModel, ImageShape, LoadedModel } from '../../models/model-file.ts';
import { unet2dShapes } from '../../models/unet2d/config.ts';
import type { UNet2DConfig } from '../../models/unet2d/config.ts';
import type { ArrayMap, NdArray } from '../../tensor/array.ts';
import { decodeSafetensors } from '../../tensor/safetensors.ts';
import {
  misfitOf,
  networkOf,
  noiseOf,
  predictionOf,
  schedulerSchema,
  unet2dSchema,
} from './unet2d-schema.ts';

const WEIGHTS = 'diffusion_pytorch_model.safetensors';
const SCHEDULER = 'scheduler_config.json';
const MAX_WEIGHTS_BYTES = 2 ** 31;

export interface ImportOptions {
  /** The scheduler's file, if the folder has none, or another one is to be used. */
  readonly scheduler?: string;
  /** Side of the images, if the network's configuration names none. */
  readonly imageSize?: number;
}

/** Reads the folder. @throws UserError that names the file, and the field or array that cannot be imported. */
export async function readDiffusersFolder(
  dir: string,
  options: ImportOptions = {},
): Promise<LoadedModel<DenoiserModel>> {
  const names = await namesIn(dir);
  const unet = names.includes('config.json') ? dir : join(dir, 'unet');
  const files = unet === dir ? names : await namesIn(unet, dir);
  if (!files.includes('config.json'))
    throw new UserError(
      `${unet}: holds no config.json; name a folder that UNet2DModel.save_pretrained wrote`,
    );
  const configPath = join(unet, 'config.json');
  const source = await loadConfigFile(configPath);
  const fields = parseStrict(unet2dSchema, source.values, source.locate);
  const misfit = misfitOf(fields);
  if (misfit !== null) throw new UserError(`${configPath}: ${misfit}`);
  const scheduler = await schedulerOf(dir, unet, options);
  const told = parseStrict(schedulerSchema, scheduler.values, scheduler.locate);
  const network = networkOf(fields, noiseOf(told));
  const image = imageOf(fields.sample_size ?? null, network, configPath, options);
  const weights = join(unet, weightsName(files, unet));
  const { arrays } = decodeSafetensors(await readBounded(weights, MAX_WEIGHTS_BYTES), weights);
  return {
    model: {
      ...{ kind: 'denoiser', network, prediction: predictionOf(told), image },
      ...{ datasetDigest: null, steps: null },
    },
    params: paramsOf(network, arrays, weights),
  };
}

/** @throws UserError if `dir` is not a folder; `asked` is the path that the user named. */
async function namesIn(dir: string, asked = dir): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (thrown) {
    const code = errorCode(thrown);
    const why =
      code === 'ENOENT' && dir !== asked
        ? 'holds neither a config.json nor a folder unet'
        : { ENOENT: 'no such folder', ENOTDIR: 'is not a folder' }[code ?? ''];
    throw new UserError(
      `${asked}: ${why ?? `cannot be read (${code})`}; name a folder that diffusers' save_pretrained wrote`,
      { cause: thrown },
    );
  }
}

async function schedulerOf(dir: string, unet: string, { scheduler }: ImportOptions): Promise<ConfigSource> {
  if (scheduler !== undefined) return loadConfigFile(scheduler);
  const places = [join(unet, SCHEDULER), join(dir, SCHEDULER), join(dir, 'scheduler', SCHEDULER)];
  if (basename(unet).startsWith('unet')) places.push(join(dirname(unet), 'scheduler', SCHEDULER));
  const found = places.find((place) => existsSync(place));
  if (found !== undefined) return loadConfigFile(found);
  throw new UserError(
    `${dir}: holds no ${SCHEDULER}, which says how images were noised in training; name one with --scheduler FILE`,
  );
}

function imageOf(
  sampleSize: number | readonly [number, number] | null,
  { channels, widths }: UNet2DConfig,
  configPath: string,
  { imageSize }: ImportOptions,
): ImageShape {
  const named = imageSize ?? sampleSize;
  if (named === null)
    throw new UserError(
      `${configPath}: sample_size is missing; say how large its images are with --image-size N`,
    );
  const [height, width] = typeof named === 'number' ? [named, named] : named;
  const multiple = 2 ** (widths.length - 1);
  if (height % multiple !== 0 || width % multiple !== 0)
    throw new UserError(
      `${configPath}: images of ${height}×${width} cannot be halved ${widths.length - 1} times; ` +
        `choose a multiple of ${multiple} with --image-size N`,
    );
  return { height, width, channels };
}

function weightsName(files: readonly string[], dir: string): string {
  if (files.includes(WEIGHTS)) return WEIGHTS;
  const found = files.filter((name) => name.endsWith('.safetensors'));
  if (found.length === 1 && !files.some((name) => name.endsWith('.safetensors.index.json'))) return found[0]!;
  const resave = 'save it again as one file: UNet2DModel.from_pretrained(DIR).save_pretrained(NEW_DIR)';
  if (found.length > 1)
    throw new UserError(`${dir}: holds ${found.length} .safetensors files and no ${WEIGHTS}; ${resave}`);
  const pickled = files.find((name) => name.endsWith('.bin'));
  throw new UserError(
    pickled === undefined
      ? `${dir}: holds no ${WEIGHTS}`
      : `${dir}: its weights are in ${pickled}, a pickled file, which can run code and is not read; ${resave}`,
  );
}

/** Names of attention's layers before diffusers 0.18. */
const FORMER: Readonly<Record<string, string>> = {
  ...{ query: 'to_q', key: 'to_k', value: 'to_v', proj_attn: 'to_out.0' },
};
const FORMER_NAME = /^(.*\.attentions\.\d+)\.(query|key|value|proj_attn)\.(weight|bias)$/;

/** The arrays under their present names, each of them checked. */
function paramsOf(network: UNet2DConfig, arrays: ArrayMap, source: string): ArrayMap {
  const found = new Map(Object.entries(arrays).map(([name, array]) => [presentName(name), array]));
  const shapes = unet2dShapes(network);
  const refuse = (why: string) => new UserError(`${source}: does not fit its config.json: ${why}`);
  const missing = Object.keys(shapes).filter((name) => !found.has(name));
  if (missing.length > 0) throw refuse(`it lacks '${missing[0]!}'${andMore(missing)}`);
  const unknown = [...found.keys()].filter((name) => shapes[name] === undefined);
  if (unknown.length > 0)
    throw refuse(
      `it holds '${unknown[0]!.slice(0, 100)}'${andMore(unknown)}, which the network does not have`,
    );
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, fitted(found.get(name)!, name, shape, refuse)]),
  );
}

function presentName(name: string): string {
  const [, attention, part, kind] = FORMER_NAME.exec(name) ?? [];
  return attention === undefined ? name : `${attention}.${FORMER[part!]!}.${kind!}`;
}

/** A linear layer over pixels [out, in] is equivalent to a 1×1 convolution. */
function fitted(
  array: NdArray,
  name: string,
  shape: readonly number[],
  refuse: (why: string) => UserError,
): NdArray {
  if (array.dtype !== 'float32') throw refuse(`'${name}' holds ${array.dtype}, not floating-point numbers`);
  const own = withoutOnes(array.shape);
  if (own !== withoutOnes(shape))
    throw refuse(`'${name}' is [${array.shape.join(', ')}], not [${shape.join(', ')}]`);
  return { ...array, shape };
}

function withoutOnes(shape: readonly number[]): string {
  return shape.length === 4 && shape[2] === 1 && shape[3] === 1 ? shape.slice(0, 2).join() : shape.join();
}

function andMore({ length }: readonly string[]): string {
  return length > 1 ? ` and ${length - 1} more` : '';
}
