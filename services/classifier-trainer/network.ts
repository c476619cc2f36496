/**
 * The configured network: its architecture, its initial values, and which of them train, how fast. Weights are read
 * from their file here.
 */
import { readBounded } from '../../common/bounded-file.ts';
import { errorCode, toError, UserError } from '../../common/errors.ts';
import type { ClassifierConfig as ClassifierSettings } from '../../config/classifier-config.ts';
import { isRunningStatistic } from '../../models/batch-norm.ts';
import { headOf, imageNetNormalization, initClassifier, isSmall } from '../../models/classifier.ts';
import type { ClassifierConfig } from '../../models/classifier.ts';
import { pretrainedResNet } from '../../models/resnet-weights.ts';
import type { ClassifierPass, StepOptions } from '../../models/training-step.ts';
import type { ArrayMap } from '../../tensor/array.ts';
import type { Key } from '../../tensor/random.ts';
import { decodeSafetensors } from '../../tensor/safetensors.ts';

/** Ten times the largest network here. */
const MAX_WEIGHTS_BYTES = 2 ** 30;

export type NetworkSize = Pick<ClassifierConfig, 'channels' | 'classes' | 'cosineScale'>;

/** A network ready to be trained. */
export interface NetworkValues {
  readonly network: ClassifierConfig;
  /** The parameters that train. */
  readonly params: ArrayMap;
  /** Frozen layers and running statistics. */
  readonly buffers: ArrayMap;
  readonly pass: Required<ClassifierPass> & Required<Pick<StepOptions, 'rateFactors'>>;
}

export interface OpenedNetwork extends NetworkValues {
  /** A note for the user about the weights; null if there is nothing to report. */
  readonly note: string | null;
}

/** The architecture for images with this many channels and classes. */
export function networkOf(settings: ClassifierSettings, size: NetworkSize): ClassifierConfig {
  const { network, widths, blocksPerStage, groups } = settings;
  const normalization = settings.normalization ?? (network === 'small' ? 'none' : 'imagenet');
  const common = {
    ...size,
    ...(normalization === 'imagenet' ? { normalization: imageNetNormalization(size.channels) } : {}),
  };
  return network === 'small'
    ? { ...common, widths, blocksPerStage, groups }
    : { ...common, architecture: network };
}

/** Reads and draws the network's initial values. @throws UserError for weights or names of layers that do not match. */
export async function openNetwork(
  settings: ClassifierSettings,
  size: NetworkSize,
  key: Key,
): Promise<OpenedNetwork> {
  const network = networkOf(settings, size);
  const { params: all, note } = await firstValues(settings.weights, network, key);
  const names = Object.keys(all);
  const frozen = frozenNames(settings.freeze, names);
  const trains = (name: string) => !frozen.has(name) && !isRunningStatistic(name);
  const some = (wanted: boolean) =>
    Object.fromEntries(names.filter((name) => trains(name) === wanted).map((name) => [name, all[name]!]));
  return {
    network,
    params: some(true),
    buffers: some(false),
    pass: {
      measured: settings.batchNorm === 'frozen' ? [] : measuredLayers(names, frozen),
      rateFactors: rateFactors(names.filter(trains), headOf(network), settings.backboneRate),
    },
    note,
  };
}

/** A newly drawn head, to be trained alone: all other `values` are frozen, including normalisation statistics. */
export function headAlone(network: ClassifierConfig, values: ArrayMap, key: Key): NetworkValues {
  const isHead = (name: string) => name.startsWith(`${headOf(network)}.`);
  const some = (all: ArrayMap, wanted: boolean) =>
    Object.fromEntries(Object.entries(all).filter(([name]) => isHead(name) === wanted));
  return {
    network,
    params: some(initClassifier(network, key), true),
    buffers: some(values, false),
    pass: { measured: [], rateFactors: {} },
  };
}

async function firstValues(
  weights: string | null,
  network: ClassifierConfig,
  key: Key,
): Promise<{ params: ArrayMap; note: string | null }> {
  if (weights === null || isSmall(network)) return { params: initClassifier(network, key), note: null };
  const { arrays } = decodeSafetensors(await readWeights(weights), weights);
  const { params, replacedClasses } = pretrainedResNet(network, arrays, key, weights);
  if (replacedClasses === null) return { params, note: null };
  const old = replacedClasses === 0 ? 'has no head' : `has a head of ${replacedClasses} classes`;
  return { params, note: `classifier.weights: ${weights} ${old}; a new one of ${network.classes} was drawn` };
}

async function readWeights(path: string): Promise<Uint8Array> {
  try {
    return await readBounded(path, MAX_WEIGHTS_BYTES);
  } catch (thrown) {
    const code = errorCode(toError(thrown).cause) ?? errorCode(thrown);
    if (code !== 'ENOENT') throw thrown;
    throw new UserError(`classifier.weights: ${path}: no such file`, { cause: thrown });
  }
}

/** Names of all values of the layers that `freeze` names, or whose names begin with one of its entries. */
function frozenNames(freeze: readonly string[], names: readonly string[]): ReadonlySet<string> {
  const frozen = freeze.flatMap((layer) => {
    const own = names.filter((name) => name.startsWith(`${layer}.`) || name === layer);
    if (own.length > 0) return own;
    const layers = [...new Set(names.map((name) => name.split('.')[0]!))];
    throw new UserError(
      `classifier.freeze: no layer is called '${layer}'; the network has ${layers.join(', ')}`,
    );
  });
  const set = new Set(frozen);
  if (names.every((name) => set.has(name) || isRunningStatistic(name)))
    throw new UserError('classifier.freeze: every layer is frozen, so nothing would train');
  return set;
}

/** Batch normalisations that train, by name; a frozen layer also keeps its statistics. */
function measuredLayers(names: readonly string[], frozen: ReadonlySet<string>): string[] {
  const suffix = '.running_mean';
  const statistics = names.filter((name) => name.endsWith(suffix) && !frozen.has(name));
  return statistics.map((name) => name.slice(0, -suffix.length));
}

function rateFactors(names: readonly string[], head: string, factor: number): Record<string, number> {
  if (factor === 1) return {};
  return Object.fromEntries(
    names.filter((name) => !name.startsWith(`${head}.`)).map((name) => [name, factor]),
  );
}
