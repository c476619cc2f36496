/**
 * Noise schedules: the signal `a` and noise `s` of an image at time t, x_t = a·x0 + s·ε with a² + s² = 1 (variance
 * preserving). Plain float64 numbers, computed outside graphs.
 *
 *   cosine          a = cos(πt/2), s = sin(πt/2), t in [0, 1]         (Nichol and Dhariwal 2102.09672, as used by 2202.00512)
 *   linear β        β from 1e-4 to 0.02 in 1000 steps, a² = Π(1 − β)   (Ho et al. 2006.11239)
 *   iDDPM cosine    β_i = min(1 − f((i+1)/n)/f(i/n), 0.999), f(t) = cos²(π/2 · (t + 0.008)/1.008)   (2102.09672)
 */
import { UserError } from '../common/errors.ts';

/** One noise level. `t` is the denoiser's time input, in [0, 1]. */
export interface NoiseLevel {
  readonly t: number;
  readonly a: number;
  readonly s: number;
}

/** No noise left: the end of every sampler. */
export const CLEAN: NoiseLevel = { t: 0, a: 1, s: 0 };

/** The continuous cosine schedule; t in [0, 1]. */
export function cosineLevel(t: number): NoiseLevel {
  return { t, a: Math.cos((Math.PI / 2) * t), s: Math.sin((Math.PI / 2) * t) };
}

/** The time at which the continuous cosine schedule has this signal and noise: the inverse of `cosineLevel`. */
export function cosineTime({ a, s }: { readonly a: number; readonly s: number }): number {
  return (2 / Math.PI) * Math.atan2(s, a);
}

/**
 * The same level with the cosine schedule's time, so that a denoiser trained on `cosineLevel` can be sampled along any
 * variance-preserving schedule.
 */
export function onCosineTime(level: NoiseLevel): NoiseLevel {
  return { ...level, t: cosineTime(level) };
}

/** β of DDPM's linear schedule, scaled so that any number of steps spans the same noise. */
export function linearBetas(steps = 1000): number[] {
  const scale = 1000 / steps;
  const [first, last] = [1e-4 * scale, 0.02 * scale];
  return Array.from({ length: steps }, (_, i) => first + ((last - first) * i) / (steps - 1));
}

/** β of iDDPM's cosine schedule, each at most 0.999. */
export function cosineBetas(steps = 1000): number[] {
  const f = (t: number) => Math.cos((((t + 0.008) / 1.008) * Math.PI) / 2) ** 2;
  return Array.from({ length: steps }, (_, i) => Math.min(1 - f((i + 1) / steps) / f(i / steps), 0.999));
}

/** Levels of a discrete schedule, index 0 the least noisy; t = index / steps. */
export function discreteLevels(betas: readonly number[]): NoiseLevel[] {
  let signalPower = 1; // ᾱ
  return betas.map((beta, index) => {
    signalPower *= 1 - beta;
    return { t: index / betas.length, a: Math.sqrt(signalPower), s: Math.sqrt(1 - signalPower) };
  });
}

/**
 * The levels that a sampler visits, noisiest first and `CLEAN` last: `steps` + 1 of them, evenly spaced in time from
 * `startTime` in (0, 1] to 0. Throws UserError for other values.
 */
export function uniformLevels(
  startTime: number,
  steps: number,
  level: (t: number) => NoiseLevel = cosineLevel,
): NoiseLevel[] {
  requireSteps(steps, Number.MAX_SAFE_INTEGER);
  if (!(startTime > 0 && startTime <= 1))
    throw new UserError(`startTime ${startTime}: must be greater than 0 and at most 1`);
  const visited = Array.from({ length: steps }, (_, i) => level((startTime * (steps - i)) / steps));
  return [...visited, CLEAN];
}

/**
 * 'ddimN' spacing (Song et al. 2010.02502): every k-th index from 0 with the smallest whole stride k that visits
 * exactly `steps` of `total`, ascending: (50, 1000) → 0, 20, …, 980. Throws UserError if there is none.
 */
export function ddimIndices(steps: number, total: number): number[] {
  requireSteps(steps, total);
  const stride = Math.ceil(total / steps);
  if (Math.ceil(total / stride) !== steps)
    throw new UserError(`steps ${steps}: no whole stride visits exactly ${steps} of ${total} noise levels`);
  return Array.from({ length: steps }, (_, i) => i * stride);
}

/** The levels of a discrete schedule that DDIM with 'ddimN' spacing visits, noisiest first and `CLEAN` last. */
export function ddimLevels(levels: readonly NoiseLevel[], steps: number): NoiseLevel[] {
  const visited = ddimIndices(steps, levels.length).map((index) => levels[index]!);
  return [...visited.reverse(), CLEAN];
}

function requireSteps(steps: number, most: number): void {
  if (!Number.isInteger(steps) || steps < 1 || steps > most)
    throw new UserError(`steps ${steps}: must be a whole number from 1 to ${most}`);
}
