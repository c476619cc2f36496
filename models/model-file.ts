/**
 * Trained models as one self-describing safetensors file: the parameters, with a description of the model in the
 * metadata. Training states (parameters, average, optimiser slots) use the same file with longer names.
 */
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { readBounded } from '../common/bounded-file.ts';
import { errorCode, UserError } from '../common/errors.ts';
import type { ArrayMap, NdArray } from '../tensor/array.ts';
import { decodeSafetensors, encodeSafetensors } from '../tensor/safetensors.ts';
import { flatten } from '../tensor/tree.ts';
import type { Tree } from '../tensor/tree.ts';
import type { ClassifierConfig } from './classifier.ts';
import type { Prediction } from './denoiser.ts';
import type { TrainingState } from './training-step.ts';
import type { DenoiserNetwork } from './denoiser-network.ts';

/** Larger than any network that this code can train. */
const MAX_MODEL_BYTES = 2 ** 31;

/** An unlabelled diffusion prior. */
export interface DenoiserModel {
  readonly kind: 'denoiser';
  readonly network: DenoiserNetwork;
  readonly prediction: Prediction;
  /** Height, width and channels of its images. */
  readonly image: ImageShape;
  /** Digest of its training images; null for an imported prior, which does not record it. */
  readonly datasetDigest: string | null;
  /** Numbers of labelled, unlabelled and excluded images, if unlabelled ones were used. */
  readonly images?: object;
  /** Optimiser steps; null for an imported prior. */
  readonly steps: number | null;
}

export interface ClassifierModel {
  readonly kind: 'classifier';
  readonly network: ClassifierConfig;
  readonly image: ImageShape;
  readonly classes: readonly string[];
  readonly steps: number;
}

/** A head on a prior's features that classifies noised images (models/prior-head.ts). */
export interface PriorHeadModel {
  readonly kind: 'prior-head';
  /** The prior's network, whose features it reads. */
  readonly network: DenoiserNetwork;
  /** Its input: the prior's images. */
  readonly image: ImageShape;
  /** The images that it was trained for: the data's images, to which the prior's are resized. */
  readonly wanted: ImageShape;
  readonly classes: readonly string[];
  /** Steps of the classifier that it imitates. */
  readonly steps: number;
}

export interface ImageShape {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

type Model = DenoiserModel | ClassifierModel | PriorHeadModel;
type ModelOf<Kind> = Extract<Model, { readonly kind: Kind }>;

export interface LoadedModel<Description> {
  readonly model: Description;
  readonly params: ArrayMap;
}

export function encodeModelFile(model: Model, params: ArrayMap): Uint8Array {
  return encodeSafetensors(params, { ballast: JSON.stringify(model) });
}

/** Reads a model of the given kind; `source` names it in errors. Throws UserError for another file or kind. */
export function decodeModelFile<Kind extends Model['kind']>(
  bytes: Uint8Array,
  kind: Kind,
  source: string,
): LoadedModel<ModelOf<Kind>> {
  const { arrays, metadata } = decodeSafetensors(bytes, source);
  const text = metadata['ballast'];
  if (text === undefined) throw new UserError(`${source}: a safetensors file, but not a Ballast model`);
  const model = parseModel(text, source);
  if (model.kind !== kind)
    throw new UserError(`${source}: holds a ${model.kind}, but a ${kind} is needed here`);
  return { model: model as ModelOf<Kind>, params: arrays };
}

function parseModel(text: string, source: string): Model {
  try {
    const model: unknown = JSON.parse(text);
    if (typeof model === 'object' && model !== null) return model as Model;
  } catch {
    // reported below
  }
  throw new UserError(`${source}: its description of the model is damaged`);
}

/** Like `decodeModelFile`, from disk. */
export async function readModelFile<Kind extends Model['kind']>(
  path: string,
  kind: Kind,
): Promise<LoadedModel<ModelOf<Kind>>> {
  return decodeModelFile(await readOrExplain(path), kind, path);
}

async function readOrExplain(path: string): Promise<Uint8Array> {
  try {
    return await readBounded(path, MAX_MODEL_BYTES);
  } catch (thrown) {
    const found = await stat(path).catch(errorCode);
    if (found === 'ENOENT') throw new UserError(`${path}: no such file`, { cause: thrown });
    if (typeof found === 'object' && found.isDirectory())
      throw new UserError(`${path}: a folder, but a model file is needed`, { cause: thrown });
    throw thrown;
  }
}

/** SHA-256 (hex) of parameters: names, shapes and bits. */
export function parametersDigest(params: ArrayMap): string {
  return createHash('sha256').update(encodeSafetensors(params)).digest('hex');
}

/** A training state as a file; `metadata` records the position of training. */
export function encodeState(
  state: TrainingState<NdArray>,
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const tree = state as unknown as Tree<NdArray>;
  return encodeSafetensors(Object.fromEntries(flatten(tree, isArray)), metadata);
}

/** The inverse of `encodeState`. Throws UserError when `like` (a new state) has other names or shapes. */
export function decodeState(
  bytes: Uint8Array,
  like: TrainingState<NdArray>,
  source: string,
): { state: TrainingState<NdArray>; metadata: Record<string, string> } {
  const { arrays, metadata } = decodeSafetensors(bytes, source);
  const restore = (node: Tree<NdArray>, path: string): Tree<NdArray> => {
    if (!isArray(node))
      return Object.fromEntries(
        Object.entries(node).map(([name, child]) => [
          name,
          restore(child, path === '' ? name : `${path}/${name}`),
        ]),
      );
    const found = arrays[path];
    if (found === undefined || found.shape.join() !== node.shape.join())
      throw new UserError(`${source}: its '${path}' does not fit the configured network`);
    return found;
  };
  return {
    state: restore(like, '') as unknown as TrainingState<NdArray>,
    metadata,
  };
}

function isArray(node: Tree<NdArray>): node is NdArray {
  return 'data' in node && ArrayBuffer.isView(node.data);
}
