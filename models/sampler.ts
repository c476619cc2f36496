/**
 * Samplers as tables: each step is a row of coefficients, computed in float64 outside graphs, so that one graph serves
 * every sampler and every step:
 *
 *   x' = cX·x + cD·x̂0 + cP·x̂0_previous
 *
 * where x̂0 is the denoiser's estimate at the row's level and x̂0_previous the one of the row before (cP = 0 in the
 * first).
 *
 *   ddim       x' = (s'/s)·x + (a' − a·s'/s)·x̂0                            (Song et al. 2010.02502, η = 0)
 *   dpmpp-2m   the same with x̂0 replaced by (1 + 1/2r)·x̂0 − 1/2r·x̂0_previous,
 *              r = h_previous/h, h = λ' − λ, λ = log(a/s)                   (Lu et al. 2211.01095, algorithm 2)
 */
import type { NoiseLevel } from './schedule.ts';

export type SamplerName = 'ddim' | 'dpmpp-2m';

/** One step: from level (t, a, s) to the next row's level. */
export interface SamplerStep extends NoiseLevel {
  readonly cX: number;
  readonly cD: number;
  readonly cP: number;
}

/**
 * The steps through `levels`: noisiest first, s > 0 in all but the last, which is not visited (usually `CLEAN`); see
 * `uniformLevels` and `ddimLevels`. Throws RangeError for other levels.
 */
export function samplerSteps(sampler: SamplerName, levels: readonly NoiseLevel[]): SamplerStep[] {
  requireDescending(levels);
  return levels.slice(0, -1).map((level, i) => {
    const next = levels[i + 1]!;
    const previous = levels[i - 1];
    switch (sampler) {
      case 'ddim':
        return firstOrder(level, next);
      case 'dpmpp-2m':
        // The last step to s' = 0 has infinite h, so r = 0: of first order, as in the authors' code.
        return previous === undefined || next.s === 0
          ? firstOrder(level, next)
          : secondOrder(previous, level, next);
      default:
        return sampler satisfies never;
    }
  });
}

function firstOrder(level: NoiseLevel, next: NoiseLevel): SamplerStep {
  const cX = next.s / level.s;
  return { ...level, cX, cD: next.a - level.a * cX, cP: 0 };
}

function secondOrder(previous: NoiseLevel, level: NoiseLevel, next: NoiseLevel): SamplerStep {
  const { cX, cD } = firstOrder(level, next);
  const lambda = ({ a, s }: NoiseLevel) => Math.log(a / s);
  const r = (lambda(level) - lambda(previous)) / (lambda(next) - lambda(level));
  return { ...level, cX, cD: cD * (1 + 1 / (2 * r)), cP: -cD / (2 * r) };
}

function requireDescending(levels: readonly NoiseLevel[]): void {
  const falls = levels.every(({ s }, i) => i === 0 || s < levels[i - 1]!.s);
  if (levels.length < 2 || !falls)
    throw new RangeError('a sampler needs at least two levels of falling noise');
}
