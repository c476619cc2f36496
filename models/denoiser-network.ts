/**
 * The networks that a prior can have: Ballast's U-Net, or one imported from diffusers, and everything that differs
 * between them.
 */
import type { Tensor, Tensor2D, Tensor4D } from '../tensor/tf.ts';
import type { Parameters } from './parameters.ts';
import { discreteLevels, linearBetas } from './schedule.ts';
import type { NoiseLevel } from './schedule.ts';
import { encode, pooledFeatures, unet } from './unet.ts';
import type { UNetConfig } from './unet.ts';
import type { UNet2DConfig } from './unet2d/config.ts';
import { encode as encode2d, unet2d } from './unet2d/network.ts';
import { stepsAt, trainingLevels, trainingTimes } from './unet2d/timesteps.ts';

export type DenoiserNetwork = UNetConfig | UNet2DConfig;

function isImported(network: DenoiserNetwork): network is UNet2DConfig {
  return 'kind' in network;
}

/** The network's raw output, shaped like x [n, c, h, w]; t in [0, 1], a scalar for the whole batch or one per image. */
export function predict(network: DenoiserNetwork, params: Parameters, x: Tensor4D, t: Tensor): Tensor4D {
  return isImported(network)
    ? unet2d(network, params, x, stepsAt(network.noise, t))
    : unet(network, params, x, t);
}

/** Values of `networkFeatures` for each image. */
export function featureCount(network: DenoiserNetwork): number {
  const attends = isImported(network) ? network.middle !== 'none' : network.attention;
  return network.widths[0]! + (attends ? 10 : 5) * network.widths.at(-1)!;
}

/**
 * Features that the network extracts from a noised image: means over the whole and over each quarter of the lowest
 * level, before and (where there is something) after the middle, and the mean of the highest level. x [n, c, h, w] →
 * [n, `featureCount`].
 */
export function networkFeatures(
  network: DenoiserNetwork,
  params: Parameters,
  x: Tensor4D,
  t: Tensor,
): Tensor2D {
  if (!isImported(network)) {
    const { skips, middle } = encode(network, params, x, t);
    const lowest = network.attention ? [skips.at(-1)!, middle] : [middle];
    return pooledFeatures(lowest, skips[network.blocksPerLevel - 1]!);
  }
  const { skips, lowest, middle } = encode2d(network, params, x, stepsAt(network.noise, t));
  return pooledFeatures(
    network.middle === 'none' ? [lowest] : [lowest, middle],
    skips[network.layersPerBlock]!,
  );
}

/** The latest time on which the network was trained: sampling from noise starts there. */
export function latestTime(network: DenoiserNetwork): number {
  return isImported(network) ? trainingTimes(network.noise).at(-1)! : 1;
}

/**
 * The DDPM steps that the released sampler visits: the network's own, or those of linear β for a network trained on all
 * times.
 */
export function ddpmLevels(network: DenoiserNetwork): NoiseLevel[] {
  return isImported(network) ? trainingLevels(network.noise) : discreteLevels(linearBetas());
}
