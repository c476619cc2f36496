/**
 * Classifiers: a ResNet of resnet.ts, or a small residual network with group normalisation (He et al. 1512.03385; Wu
 * and He
 * 1803.08494): it never mixes the images of a batch, so an image's logits do not depend on its neighbours or on
 *      padding.
 *
 *   3×3 stem → stages (each after the first halves the resolution) → global average → linear head
 *
 * Images are in [−1, 1]; the normalisation with which a network was trained is part of the network, so training,
 * evaluation, guidance and exports cannot differ in it.
 */
import { UserError } from '../common/errors.ts';
import type { ArrayMap } from '../tensor/array.ts';
import { named } from '../tensor/named.ts';
import { avgPoolGlobal, silu } from '../tensor/ops.ts';
import type { Key } from '../tensor/random.ts';
import tf from '../tensor/tf.ts';
import type { Tensor, Tensor2D, Tensor4D } from '../tensor/tf.ts';
import type { BatchStatistics } from './batch-norm.ts';
import { convLayer, Initializer, linearLayer, normLayer, parameter } from './parameters.ts';
import type { Parameters } from './parameters.ts';
import { initResNet, RESNET_HEAD, resNetFeatures, resNetShapes } from './resnet.ts';
import type { ResNetArchitecture } from './resnet.ts';

export type ClassifierConfig = SmallClassifierConfig | ResNetConfig;

interface CommonConfig {
  /** Colour channels of the image. */
  readonly channels: number;
  readonly classes: number;
  /** (v − mean)/deviation of values v in [0, 1], one number a channel; absent: images stay in [−1, 1]. */
  readonly normalization?: Normalization;
  /**
   * Logits are this number times the cosine between features and each class's weights; absent: a linear head with a
   * bias.
   */
  readonly cosineScale?: number;
}

export interface Normalization {
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
}

export interface ResNetConfig extends CommonConfig {
  readonly architecture: ResNetArchitecture;
}

export interface SmallClassifierConfig extends CommonConfig {
  readonly architecture?: 'small';
  /** Features per stage. */
  readonly widths: readonly number[];
  readonly blocksPerStage: number;
  /** Groups of every normalisation; divides every width. */
  readonly groups: number;
}

export const DEFAULT_CLASSIFIER = { widths: [16, 32, 64], blocksPerStage: 1, groups: 8 } as const;

interface Block {
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
  readonly stride: number;
}

/** Means and deviations of ImageNet's images; a grey image takes the mean of the three channels. */
export function imageNetNormalization(channels: number): Normalization {
  return channels === 3
    ? { mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225] }
    : { mean: new Array<number>(channels).fill(0.449), deviation: new Array<number>(channels).fill(0.226) };
}

/** Whether it is the small network of this file. */
export function isSmall(config: ClassifierConfig): config is SmallClassifierConfig {
  return config.architecture === undefined || config.architecture === 'small';
}

/** Name of the linear layer that gives the logits. */
export function headOf(config: ClassifierConfig): string {
  return isSmall(config) ? 'head' : RESNET_HEAD;
}

/** Number of features that the head receives per image. */
export function featureCount(config: ClassifierConfig): number {
  if (isSmall(config)) return config.widths.at(-1)!;
  return resNetShapes(config.architecture, config)[`${RESNET_HEAD}.weight`]![1]!;
}

function blocksOf({ widths, blocksPerStage }: SmallClassifierConfig): Block[] {
  return widths.flatMap((outputs, stage) =>
    Array.from({ length: blocksPerStage }, (_, i) => ({
      name: `stages.${stage}.blocks.${i}`,
      inputs: i === 0 ? widths[Math.max(stage - 1, 0)]! : outputs,
      outputs,
      stride: i === 0 && stage > 0 ? 2 : 1,
    })),
  );
}

function needsProjection({ inputs, outputs, stride }: Block): boolean {
  return inputs !== outputs || stride !== 1;
}

/** New parameters, by PyTorch-style names. Throws UserError for an invalid configuration. */
export function initClassifier(config: ClassifierConfig, key: Key): ArrayMap {
  if (!isSmall(config)) return initResNet(resNetShapes(config.architecture, config), key);
  requireConfig(config);
  const init = new Initializer(key);
  init.conv('stem.conv', config.channels, config.widths[0]!, 3, { bias: false });
  init.norm('stem.norm', config.widths[0]!);
  for (const block of blocksOf(config)) {
    const { name, inputs, outputs } = block;
    init.conv(`${name}.conv1`, inputs, outputs, 3, { bias: false });
    init.norm(`${name}.norm1`, outputs);
    init.conv(`${name}.conv2`, outputs, outputs, 3, { bias: false });
    init.norm(`${name}.norm2`, outputs);
    if (!needsProjection(block)) continue;
    init.conv(`${name}.shortcut.conv`, inputs, outputs, 1, { bias: false });
    init.norm(`${name}.shortcut.norm`, outputs);
  }
  init.linear('head', config.widths.at(-1)!, config.classes, { bias: config.cosineScale === undefined });
  return init.arrays;
}

/**
 * The features that the head receives: x [n, c, h, w] in [−1, 1] → [n, last width]. `batch`: see batch-norm.ts; the
 * small network ignores it.
 */
export function features(
  config: ClassifierConfig,
  params: Parameters,
  x: Tensor4D,
  batch?: BatchStatistics,
): Tensor2D {
  if (x.shape[1] !== config.channels)
    throw new UserError(`image has ${x.shape[1]} channels, the classifier takes ${config.channels}`);
  const image = normalized(config, x);
  return isSmall(config)
    ? smallFeatures(config, params, image)
    : resNetFeatures(config.architecture, params, image, batch);
}

/** v = (x + 1)/2, then (v − mean)/deviation, in one pass. */
function normalized({ normalization }: ClassifierConfig, x: Tensor4D): Tensor4D {
  if (normalization === undefined) return x;
  const { mean, deviation } = normalization;
  const perChannel = (values: readonly number[]) => tf.tensor4d([...values], [1, values.length, 1, 1]);
  const scale = perChannel(deviation.map((each) => 0.5 / each));
  return tf.add(tf.mul(x, scale), perChannel(deviation.map((each, i) => (0.5 - mean[i]!) / each)));
}

function smallFeatures(config: SmallClassifierConfig, params: Parameters, x: Tensor4D): Tensor2D {
  const stem = convLayer(params, 'stem.conv', x);
  const first = silu(normLayer(params, 'stem.norm', stem, config.groups));
  return avgPoolGlobal(blocksOf(config).reduce((h, block) => residualBlock(config, params, block, h), first));
}

/** Logits: x [n, c, h, w] in [−1, 1] → [n, classes]. */
export function classify(
  config: ClassifierConfig,
  params: Parameters,
  x: Tensor4D,
  batch?: BatchStatistics,
): Tensor2D {
  const seen = features(config, params, x, batch);
  const head = headOf(config);
  if (config.cosineScale === undefined) return linearLayer(params, head, seen);
  const weights = withUnitRows(parameter<Tensor2D>(params, `${head}.weight`));
  return tf.mul(tf.matMul(withUnitRows(seen), weights, false, true), config.cosineScale);
}

/** Divides each row by its length. */
function withUnitRows(rows: Tensor2D): Tensor2D {
  const squares = tf.sum(tf.square(rows), -1, true);
  return tf.div(rows, tf.sqrt(tf.add(squares, 1e-12)));
}

/** The forward pass as a function for `compile`. */
export const classifierForward = named(
  'classifierForward',
  (config: ClassifierConfig) =>
    ({ params, images }: { params: Parameters; images: Tensor }) => ({
      logits: classify(config, params, images as Tensor4D),
    }),
);

/**
 * The features that the head receives, as a function for `compile`: distances between sets of images are measured
 * there.
 */
export const classifierFeatures = named(
  'classifierFeatures',
  (config: ClassifierConfig) =>
    ({ params, images }: { params: Parameters; images: Tensor }) => ({
      features: features(config, params, images as Tensor4D),
    }),
);

function residualBlock(
  { groups }: SmallClassifierConfig,
  params: Parameters,
  block: Block,
  x: Tensor4D,
): Tensor4D {
  const { name, stride } = block;
  const first = normLayer(params, `${name}.norm1`, convLayer(params, `${name}.conv1`, x, { stride }), groups);
  const second = normLayer(params, `${name}.norm2`, convLayer(params, `${name}.conv2`, silu(first)), groups);
  if (!needsProjection(block)) return silu(tf.add(x, second));
  const shortcut = convLayer(params, `${name}.shortcut.conv`, x, { stride });
  return silu(tf.add(normLayer(params, `${name}.shortcut.norm`, shortcut, groups), second));
}

function requireConfig({ widths, groups, classes }: SmallClassifierConfig): void {
  if (widths.length === 0) throw new UserError('classifier widths: at least one stage is needed');
  const odd = widths.find((width) => width % groups !== 0);
  if (odd !== undefined)
    throw new UserError(`classifier widths: ${odd} is not a multiple of its ${groups} normalisation groups`);
  if (classes < 2) throw new UserError(`classifier classes ${classes}: at least 2 are needed`);
}
