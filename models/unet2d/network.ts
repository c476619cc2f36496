/**
 * diffusers' `UNet2DModel` with its default blocks, as a plain function that compiles like Ballast's U-Net:
 *
 *   x [n, c, h, w] → convolution → levels of residual blocks, some with attention, halving between them → two blocks with
 *   attention → the way back, where each block takes one skip → convolution → [n, c, h, w]
 */
import { conv2d, silu, upsampleConv2d } from '../../tensor/ops.ts';
import tf from '../../tensor/tf.ts';
import type { Tensor, Tensor1D, Tensor2D, Tensor3D, Tensor4D } from '../../tensor/tf.ts';
import { attend } from '../attention.ts';
import { convLayer, linearLayer, normLayer, parameter } from '../parameters.ts';
import type { Parameters } from '../parameters.ts';
import { layoutOf } from './config.ts';
import type { Level, ResidualBlock, UNet2DConfig } from './config.ts';

/** The common inputs of all layers. */
interface Scope {
  readonly config: UNet2DConfig;
  readonly params: Parameters;
  /** SiLU of the time's embedding: [m, timeWidth], m = 1 or n. */
  readonly time: Tensor2D;
}

/**
 * The network's raw output, shaped like x; `steps` are training steps, possibly fractional: a scalar, or one per image.
 */
export function unet2d(config: UNet2DConfig, params: Parameters, x: Tensor4D, steps: Tensor): Tensor4D {
  const { skips, middle, scope } = encode(config, params, x, steps);
  let h = middle;
  for (const level of layoutOf(config).up) {
    for (const [i, block] of level.blocks.entries())
      h = attendAfter(scope, level, i, residual(scope, block, tf.concat([h, skips.pop()!], 1)));
    if (level.resample !== null) h = doubled(params, level.resample, h);
  }
  return convLayer(params, 'conv_out', silu(norm(scope, 'conv_norm_out', h)));
}

/** The way down and the middle: `skips` holds the inputs of the way back, `lowest` the last of them. */
export function encode(config: UNet2DConfig, params: Parameters, x: Tensor4D, steps: Tensor) {
  const scope: Scope = { config, params, time: silu(embedTime(config, params, steps)) };
  const { down, middle: between } = layoutOf(config);
  let h = convLayer(params, 'conv_in', x);
  const skips = [h];
  for (const level of down) {
    for (const [i, block] of level.blocks.entries())
      skips.push((h = attendAfter(scope, level, i, residual(scope, block, h))));
    if (level.resample !== null) skips.push((h = halved(scope, level.resample, h)));
  }
  const lowest = h;
  if (between !== null) {
    const scale = config.middleScale;
    h = residual(scope, between.blocks[0]!, h, scale);
    if (between.attention !== null)
      h = attention(scope, between.attention, h, { groups: config.middleAttentionGroups, scale });
    h = residual(scope, between.blocks[1]!, h, scale);
  }
  return { skips, lowest, middle: h, scope };
}

/** Sinusoids of the step at frequencies from 1 down to about 1/10000, then two layers: [m, timeWidth]. */
function embedTime(config: UNet2DConfig, params: Parameters, steps: Tensor): Tensor2D {
  const { timeFeatures, cosineFirst, frequencyShift } = config;
  const half = Math.floor(timeFeatures / 2);
  const frequencies = Array.from({ length: half }, (_, i) =>
    Math.exp((-Math.log(1e4) * i) / (half - frequencyShift)),
  );
  const angles = tf.mul(tf.reshape(steps, [steps.size, 1]), tf.tensor2d(frequencies, [1, half]));
  const waves = [tf.sin(angles), tf.cos(angles)] as Tensor2D[];
  if (cosineFirst) waves.reverse();
  if (timeFeatures % 2 === 1) waves.push(tf.zeros([steps.size, 1]));
  const hidden = silu(linearLayer(params, 'time_embedding.linear_1', tf.concat(waves, 1)));
  return linearLayer(params, 'time_embedding.linear_2', hidden);
}

function norm({ config, params }: Scope, name: string, x: Tensor4D, groups = config.groups): Tensor4D {
  return normLayer(params, name, x, groups, config.epsilon);
}

function residual(scope: Scope, { name, inputs, outputs }: ResidualBlock, x: Tensor4D, scale = 1): Tensor4D {
  const { config, params, time } = scope;
  const h = convLayer(params, `${name}.conv1`, silu(norm(scope, `${name}.norm1`, x)));
  const told: Tensor4D = tf.reshape(linearLayer(params, `${name}.time_emb_proj`, time), [
    ...[time.shape[0], config.scaleShift ? 2 * outputs : outputs, 1, 1],
  ] as [number, number, number, number]);
  const [slope, shift] = config.scaleShift ? (tf.split(told, 2, 1) as [Tensor4D, Tensor4D]) : [null, told];
  const conditioned: Tensor4D =
    slope === null
      ? norm(scope, `${name}.norm2`, tf.add<Tensor4D>(h, shift))
      : tf.add(tf.mul(norm(scope, `${name}.norm2`, h), tf.add(slope, 1)), shift);
  const change = convLayer(params, `${name}.conv2`, silu(conditioned));
  const kept = inputs === outputs ? x : convLayer(params, `${name}.conv_shortcut`, x);
  return divided(tf.add(kept, change), scale);
}

function attendAfter(scope: Scope, { attentions }: Level, index: number, x: Tensor4D): Tensor4D {
  const name = attentions[index]!;
  return name === null ? x : attention(scope, name, x, { groups: scope.config.groups, scale: 1 });
}

/** Self-attention of heads of `headWidth` features over all positions, with a residual path. */
function attention(
  scope: Scope,
  name: string,
  x: Tensor4D,
  { groups, scale }: { readonly groups: number | null; readonly scale: number },
): Tensor4D {
  const [n, c, height, width] = x.shape;
  const headWidth = scope.config.headWidth ?? c;
  const h = groups === null ? x : norm(scope, `${name}.group_norm`, x, groups);
  const [q, k, v] = ['to_q', 'to_k', 'to_v'].map((part): Tensor3D => {
    const features = convLayer(scope.params, `${name}.${part}`, h);
    return tf.reshape(features, [(n * c) / headWidth, headWidth, height * width]);
  });
  const mixed: Tensor4D = tf.reshape(attend(q!, k!, v!, 1 / Math.sqrt(headWidth)), x.shape);
  return divided(tf.add(convLayer(scope.params, `${name}.to_out.0`, mixed), x), scale);
}

function divided(x: Tensor4D, scale: number): Tensor4D {
  return scale === 1 ? x : tf.div(x, scale);
}

/** A 3×3 convolution of stride 2. */
function halved({ config, params }: Scope, name: string, x: Tensor4D): Tensor4D {
  const weight = parameter<Tensor4D>(params, `${name}.weight`);
  const pad = config.downsamplePadding === 1 ? 1 : ([0, 1] as const);
  return tf.add(
    conv2d(x, weight, { stride: 2, pad }),
    tf.reshape(parameter(params, `${name}.bias`), [1, -1, 1, 1]),
  );
}

/** Nearest-neighbour doubling, then a 3×3 convolution. */
function doubled(params: Parameters, name: string, x: Tensor4D): Tensor4D {
  const weight = parameter<Tensor4D>(params, `${name}.weight`);
  return upsampleConv2d(x, weight, parameter<Tensor1D>(params, `${name}.bias`));
}
