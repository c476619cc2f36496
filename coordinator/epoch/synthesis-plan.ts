/**
 * Which epochs make images, which train on them, and where the sampler starts: pure functions of the configuration and
 * the epoch's number, from 1.
 */
import { replays, type RunConfig, synthesizes } from '../../config/run-config.ts';
import { epochsBefore, type SynthesisConfig } from '../../config/synthesis-config.ts';
import { syntheticEpochs } from '../../config/training-config.ts';

type PlanConfig = Pick<RunConfig, 'method' | 'training' | 'synthesis'>;

/**
 * The epoch whose images an epoch trains on: of those after `synthesis.after`, every `synthesis.every`-th makes new ones, and
 * they stay until the next or until the finish. 0 where the epoch trains on real images alone. Replay keeps its quotas for
 * just as long.
 */
export function imagesEpochOf(config: PlanConfig, epoch: number): number {
  const before = epochsBefore(config.synthesis, config.training.epochs);
  if (!(synthesizes(config) || replays(config))) return 0;
  if (epoch <= before || epoch > syntheticEpochs(config.training)) return 0;
  return epoch - ((epoch - 1 - before) % config.synthesis.every);
}

/** Whether an epoch makes images, or, with replay, draws real ones by a new quota. */
export function makesImagesIn(config: PlanConfig, epoch: number): boolean {
  return imagesEpochOf(config, epoch) === epoch;
}

/** How the images of an epoch are made: the configuration, with the start time that the curriculum has for it. */
export function synthesisOf({ synthesis, training }: PlanConfig, epoch: number): SynthesisConfig {
  const { curriculum } = synthesis;
  if (curriculum === null) return synthesis;
  const before = epochsBefore(synthesis, training.epochs);
  const epochs = syntheticEpochs(training) - before;
  const part = Math.floor(((epoch - 1 - before) * curriculum.length) / epochs);
  return { ...synthesis, startTime: curriculum[Math.min(part, curriculum.length - 1)]! };
}
