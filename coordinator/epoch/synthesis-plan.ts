/**
 * Which epochs make images, which train on them, and where the sampler starts: pure functions of the configuration and
 * the epoch's number, from 1.
 */
import { replays, type RunConfig, synthesizes } from '../../config/run-config.ts';
import type { SynthesisConfig } from '../../config/synthesis-config.ts';
import { syntheticEpochs } from '../../config/training-config.ts';

type PlanConfig = Pick<RunConfig, 'method' | 'training' | 'synthesis'>;

/**
 * The epoch whose images an epoch trains on: every `synthesis.every`-th makes new ones, and they stay until the next or
 * until the finish. 0 where the epoch trains on real images alone. Replay keeps its quotas for just as long.
 */
export function imagesEpochOf(config: PlanConfig, epoch: number): number {
  if (!(synthesizes(config) || replays(config)) || epoch > syntheticEpochs(config.training)) return 0;
  return epoch - ((epoch - 1) % config.synthesis.every);
}

/** Whether an epoch makes images, or, with replay, draws real ones by a new quota. */
export function makesImagesIn(config: PlanConfig, epoch: number): boolean {
  return imagesEpochOf(config, epoch) === epoch;
}

/** How the images of an epoch are made: the configuration, with the start time that the curriculum has for it. */
export function synthesisOf({ synthesis, training }: PlanConfig, epoch: number): SynthesisConfig {
  const { curriculum } = synthesis;
  if (curriculum === null) return synthesis;
  const part = Math.floor(((epoch - 1) * curriculum.length) / syntheticEpochs(training));
  return { ...synthesis, startTime: curriculum[Math.min(part, curriculum.length - 1)]! };
}
