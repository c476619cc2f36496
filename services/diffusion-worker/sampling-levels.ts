/** Which noise levels the sampler visits. */
import type { SynthesisConfig } from '../../config/synthesis-config.ts';
import { ddpmLevels, latestTime } from '../../models/denoiser-network.ts';
import type { DenoiserNetwork } from '../../models/denoiser-network.ts';
import type { NoiseLevel } from '../../models/schedule.ts';
import { ddimLevels, onCosineTime, uniformLevels } from '../../models/schedule.ts';

/** The released rules belong to the DDPM with a linear β schedule; they do not bound x̂0. */
export function isReleased({ guidance }: SynthesisConfig): boolean {
  return guidance.rule === 'released-noisy' || guidance.rule === 'released-x0';
}

/**
 * Noise levels that the sampler visits, noisiest first. Released guidance from noise uses the authors' DDIM subset of
 * DDPM's steps; all other levels are evenly spaced on the cosine schedule from the start time, or from the latest time
 * on which the prior was trained.
 */
export function samplingLevels(synthesis: SynthesisConfig, prior: DenoiserNetwork): NoiseLevel[] {
  const { start, startTime, steps } = synthesis;
  if (isReleased(synthesis) && start === 'noise')
    return ddimLevels(ddpmLevels(prior), steps).map(onCosineTime);
  return uniformLevels(Math.min(start === 'anchored' ? startTime : 1, latestTime(prior)), steps);
}
