/**
 * A small U-Net that predicts noise, image or velocity from a noised image and its time (Ho et al. 2006.11239, with the
 * scale-shift time conditioning of 2102.09672). Unlabelled: it has no class input.
 *
 *   x [n, c, h, w] → 2×2 pixels become channels → one residual block a level, halving between levels → attention at
 *   the lowest resolution → the way back, with the skips → [n, c, h, w]; the last convolution starts at zero.
 */
import { UserError } from '../common/errors.ts';
import type { ArrayMap } from '../tensor/array.ts';
import { avgPoolGlobal, depthToSpace, silu, spaceToDepth } from '../tensor/ops.ts';
import type { Key } from '../tensor/random.ts';
import tf from '../tensor/tf.ts';
import type { Tensor, Tensor2D, Tensor3D, Tensor4D } from '../tensor/tf.ts';
import { attend } from './attention.ts';
import { convLayer, Initializer, linearLayer, normLayer, upsampleConvLayer } from './parameters.ts';
import type { Parameters } from './parameters.ts';

export interface UNetConfig {
  /** Colour channels of the image. */
  readonly channels: number;
  /** Features per level, highest resolution first; each level after the first has half the resolution. */
  readonly widths: readonly number[];
  readonly blocksPerLevel: number;
  /** Side of the pixel blocks that become channels; 1 turns this off. */
  readonly patch: number;
  /** Groups of every group normalisation; divides every width. */
  readonly groups: number;
  /** Self-attention at the lowest resolution. */
  readonly attention: boolean;
}

/** About 0.8 M parameters for one channel. */
export const DEFAULT_UNET: UNetConfig = {
  channels: 1,
  widths: [48, 96],
  blocksPerLevel: 1,
  patch: 2,
  groups: 8,
  attention: true,
};

const TIME_FEATURES = 64;

function timeWidth(config: UNetConfig): number {
  return 4 * config.widths[0]!;
}

/** Every residual block in the order of the forward pass: its name, inputs and outputs. */
function blocksOf(config: UNetConfig) {
  const { widths, blocksPerLevel } = config;
  const last = widths.length - 1;
  const indices = Array.from({ length: blocksPerLevel }, (_, i) => i);
  const down = widths.map((width, level) =>
    indices.map((i) => ({ name: `down.${level}.blocks.${i}`, inputs: width, outputs: width })),
  );
  const up = widths.map((width, level) =>
    indices.map((i) => ({ name: `up.${level}.blocks.${i}`, inputs: 2 * width, outputs: width })),
  );
  return { down, up, last };
}

/** New parameters, by PyTorch-style names. Throws UserError for an invalid configuration. */
export function initUNet(config: UNetConfig, key: Key): ArrayMap {
  requireConfig(config);
  const { channels, widths, patch } = config;
  const init = new Initializer(key);
  const { down, up, last } = blocksOf(config);
  init.linear('time.0', TIME_FEATURES, timeWidth(config));
  init.linear('time.1', timeWidth(config), timeWidth(config));
  init.conv('stem.conv', channels * patch * patch, widths[0]!, 3);
  for (const block of [...down.flat(), ...up.flat()]) initBlock(init, config, block);
  for (let level = 0; level < last; level++) {
    init.conv(`down.${level}.downsample`, widths[level]!, widths[level + 1]!, 3);
    init.conv(`up.${level}.upsample`, widths[level + 1]!, widths[level]!, 3);
  }
  if (config.attention) {
    init.norm('middle.attention.norm', widths[last]!);
    init.conv('middle.attention.qkv', widths[last]!, 3 * widths[last]!, 1);
    init.conv('middle.attention.out', widths[last]!, widths[last]!, 1, { zero: true });
  }
  init.norm('head.norm', widths[0]!);
  init.conv('head.conv', widths[0]!, channels * patch * patch, 3, { zero: true });
  return init.arrays;
}

interface Block {
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
}

function initBlock(init: Initializer, config: UNetConfig, { name, inputs, outputs }: Block): void {
  init.norm(`${name}.norm1`, inputs);
  init.conv(`${name}.conv1`, inputs, outputs, 3);
  init.linear(`${name}.time`, timeWidth(config), 2 * outputs);
  init.norm(`${name}.norm2`, outputs);
  init.conv(`${name}.conv2`, outputs, outputs, 3, { zero: true });
  if (inputs !== outputs) init.conv(`${name}.skip`, inputs, outputs, 1);
}

/**
 * The network's raw output, shaped like `x` [n, c, h, w]; t in [0, 1], a scalar for the whole batch or one per image
 * ([n, 1, 1, 1] or [n]). Throws UserError for an image size that the levels do not divide.
 */
export function unet(config: UNetConfig, params: Parameters, x: Tensor4D, t: Tensor): Tensor4D {
  const { up, last } = blocksOf(config);
  const { skips, time, middle } = encode(config, params, x, t);
  const run = (block: Block, h: Tensor4D) => residualBlock(config, params, block, h, time);
  let h = middle;
  for (let level = last; level >= 0; level--) {
    if (level < last) h = upsampleConvLayer(params, `up.${level}.upsample`, h);
    for (const block of up[level]!) h = run(block, tf.concat([h, skips.pop()!], 1));
  }
  h = convLayer(params, 'head.conv', silu(normLayer(params, 'head.norm', h, config.groups)));
  return config.patch > 1 ? depthToSpace(h, config.patch) : h;
}

/**
 * The way down and the middle: `skips` holds the output of every block, `middle` that of the last one after attention.
 */
export function encode(config: UNetConfig, params: Parameters, x: Tensor4D, t: Tensor) {
  const [, channels, height, width] = x.shape;
  requireConfig(config);
  requireImage(config, channels, height, width);
  const { down } = blocksOf(config);
  const time = embedTime(params, t);
  let h = convLayer(params, 'stem.conv', config.patch > 1 ? spaceToDepth(x, config.patch) : x);
  const skips: Tensor4D[] = [];
  for (const [level, blocks] of down.entries()) {
    if (level > 0) h = convLayer(params, `down.${level - 1}.downsample`, h, { stride: 2 });
    for (const block of blocks) skips.push((h = residualBlock(config, params, block, h, time)));
  }
  const middle = config.attention ? attention(config, params, 'middle.attention', h) : h;
  return { skips, time, middle };
}

/** Means over the whole and over each quarter of each of `lowest`, and over `highest`: [n, c, h, w] each → [n, features]. */
export function pooledFeatures(lowest: readonly Tensor4D[], highest: Tensor4D): Tensor2D {
  const pools = lowest.flatMap((h) => [h, ...quarters(h)]);
  return tf.concat([...pools, highest].map(avgPoolGlobal), 1);
}

/** The four quarters of [n, c, h, w]; odd extents share their middle row and column. */
function quarters(h: Tensor4D): Tensor4D[] {
  const [n, c, height, width] = h.shape;
  const [rows, columns] = [Math.ceil(height / 2), Math.ceil(width / 2)];
  return [0, height - rows].flatMap((top) =>
    [0, width - columns].map((left) => tf.slice(h, [0, 0, top, left], [n, c, rows, columns])),
  );
}

/** Sinusoids of 1000·t at frequencies from 1 down to 1/10000 (Vaswani et al. 1706.03762), then two layers: [m, e]. */
function embedTime(params: Parameters, t: Tensor): Tensor2D {
  const half = TIME_FEATURES / 2;
  const frequencies = Array.from({ length: half }, (_, i) => 1000 * Math.exp((-Math.log(1e4) * i) / half));
  const angles = tf.mul(tf.reshape(t, [t.size, 1]), tf.tensor2d(frequencies, [1, half]));
  const features = tf.concat<Tensor2D>([tf.cos(angles) as Tensor2D, tf.sin(angles) as Tensor2D], 1);
  return silu(linearLayer(params, 'time.1', silu(linearLayer(params, 'time.0', features))));
}

function residualBlock(
  config: UNetConfig,
  params: Parameters,
  { name, inputs, outputs }: Block,
  x: Tensor4D,
  time: Tensor2D,
): Tensor4D {
  const h = convLayer(params, `${name}.conv1`, silu(normLayer(params, `${name}.norm1`, x, config.groups)));
  const conditions = tf.reshape(linearLayer(params, `${name}.time`, time), [-1, 2 * outputs, 1, 1]);
  const [scale, shift] = tf.split(conditions, 2, 1) as [Tensor4D, Tensor4D];
  const normed = normLayer(params, `${name}.norm2`, h, config.groups);
  const modulated: Tensor4D = tf.add(tf.mul(normed, tf.add(scale, 1)), shift);
  const change = convLayer(params, `${name}.conv2`, silu(modulated));
  return tf.add(inputs === outputs ? x : convLayer(params, `${name}.skip`, x), change);
}

/** Self-attention of one head over all positions, with a residual path. */
function attention(config: UNetConfig, params: Parameters, name: string, x: Tensor4D): Tensor4D {
  const [n, c, height, width] = x.shape;
  const qkv = convLayer(params, `${name}.qkv`, normLayer(params, `${name}.norm`, x, config.groups));
  const [q, k, v] = tf.split(tf.reshape(qkv, [n, 3 * c, height * width]), 3, 1) as [
    Tensor3D,
    Tensor3D,
    Tensor3D,
  ];
  const mixed: Tensor4D = tf.reshape(attend(q, k, v, 1 / Math.sqrt(c)), x.shape);
  return tf.add(x, convLayer(params, `${name}.out`, mixed));
}

/** Throws UserError unless the network accepts c×h×w images. */
export function requireImage(config: UNetConfig, channels: number, height: number, width: number): void {
  const divisor = config.patch * 2 ** (config.widths.length - 1);
  if (height % divisor !== 0 || width % divisor !== 0)
    throw new UserError(
      `image size ${height}×${width}: the denoiser needs multiples of ${divisor} ` +
        `(patch ${config.patch}, ${config.widths.length} levels); choose another imageSize`,
    );
  if (channels !== config.channels)
    throw new UserError(`image has ${channels} channels, the denoiser takes ${config.channels}`);
}

function requireConfig({ widths, groups, blocksPerLevel }: UNetConfig): void {
  if (widths.length === 0) throw new UserError('denoiser widths: at least one level is needed');
  const odd = widths.find((width) => width % groups !== 0);
  if (odd !== undefined)
    throw new UserError(`denoiser widths: ${odd} is not a multiple of its ${groups} normalisation groups`);
  if (!(blocksPerLevel >= 1))
    throw new UserError(`denoiser blocksPerLevel ${blocksPerLevel}: must be at least 1`);
}
