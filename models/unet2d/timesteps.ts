/**
 * Converts between the training steps of an imported network and Ballast's time. A network identifies noise by the
 * index of a step; samplers identify it by the time t of the cosine schedule (models/schedule.ts). The level of step i
 * is that of its ᾱ_i, and between two steps the index is interpolated.
 */
import tf from '../../tensor/tf.ts';
import type { Tensor } from '../../tensor/tf.ts';
import { cosineBetas, cosineTime, discreteLevels } from '../schedule.ts';
import type { NoiseLevel } from '../schedule.ts';
import type { TrainingNoise } from './config.ts';

/** β of every step: linear, linear in √β, or iDDPM's cosine. */
function betasOf({ schedule, firstBeta, lastBeta, steps }: TrainingNoise): number[] {
  const between = (from: number, to: number) =>
    Array.from({ length: steps }, (_, i) => from + ((to - from) * i) / (steps - 1));
  switch (schedule) {
    case 'linear':
      return between(firstBeta, lastBeta);
    case 'scaled_linear':
      return between(Math.sqrt(firstBeta), Math.sqrt(lastBeta)).map((root) => root * root);
    case 'squaredcos_cap_v2':
      return cosineBetas(steps);
    default:
      return schedule satisfies never;
  }
}

/** The level of every step, least noisy first. */
export function trainingLevels(noise: TrainingNoise): NoiseLevel[] {
  return discreteLevels(betasOf(noise));
}

/** Ballast's time of every step: ascending, in (0, 1). */
export function trainingTimes(noise: TrainingNoise): number[] {
  return trainingLevels(noise).map(cosineTime);
}

/** The steps, fractional, at times `t` in [0, 1], of any shape; earlier than the first is the first, later the last. */
export function stepsAt(noise: TrainingNoise, t: Tensor): Tensor {
  const times = trainingTimes(noise);
  const gaps = times.slice(1).map((time, i) => time - times[i]!);
  const row = (values: readonly number[]) => tf.tensor2d([...values], [1, values.length]);
  const since = tf.sub(tf.reshape(t, [t.size, 1]), row(times.slice(0, -1)));
  return tf.sum(tf.clipByValue(tf.div(since, row(gaps)), 0, 1), 1);
}
