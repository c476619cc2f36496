/** How synthetic images are made: their number, starting point, sampler and guidance (models/guidance). */
import { z } from 'zod';

export const guidanceConfigSchema = z
  .strictObject({
    /**
     * `normalized`: a step of fixed length along the gradient at the detached x̂0. `released-noisy`, `released-x0`: the
     * two variants of the authors' code. `prior-features`: the normalised step along the gradient at x_t of a head on
     * the prior's features, which is trained on noised images at each synthesis. `none`: unguided.
     */
    rule: z
      .enum(['normalized', 'prior-features', 'released-noisy', 'released-x0', 'none'])
      .default('normalized'),
    /** w of the normalised rules (in units of √d), s of the released ones. */
    scale: z.number().min(0).max(1000).default(0.08),
    /** Optimiser steps of the head of `prior-features`, 64 images each. */
    headSteps: z.int().min(1).max(1_000_000).default(450),
    /** How the strength depends on t: `sine` is sin(πt), `interval` is 1 inside `interval` and 0 outside. */
    schedule: z.enum(['sine', 'interval', 'constant']).default('sine'),
    /** Times at which `interval` guides. */
    interval: z.tuple([z.number().min(0).max(1), z.number().min(0).max(1)]).default([0.2, 0.8]),
    /** τ1, τ2 of the softened log-probability log(e^{τ1 z_y} / Σ_j e^{τ2 z_j}). */
    softening: z.tuple([z.number().gt(0), z.number().gt(0)]).default([1, 0.5]),
    /**
     * `confident` ascends log p(y|x); `hard` ascends the entropy while y is the most likely class; `mixed` alternates.
     */
    direction: z.enum(['confident', 'hard', 'mixed']).default('confident'),
    /** λ of the shift along class means (models/lda.ts), which precedes the rule's own step; 0 is off. */
    lda: z.number().min(0).max(10).default(0),
    /** Noised copies of x̂0 whose gradients the normalised rule averages; 0 takes the gradient at x̂0 itself. */
    copies: z.int().min(0).max(16).default(0),
    /** Standard deviation of the copies' noise, of pixels in [−1, 1]. */
    copyNoise: z.number().gt(0).max(2).default(0.2),
    /** Whether the normalised rule blurs its gradient with a 5×5 binomial kernel. */
    lowPass: z.boolean().default(false),
  })
  .check((ctx) => {
    const refuse = (path: string, message: string) =>
      ctx.issues.push({ code: 'custom', message, path: [path], input: ctx.value });
    const { interval, rule, lda, copies, lowPass } = ctx.value;
    if (interval[0] >= interval[1]) refuse('interval', 'its first number must be below its second');
    const isReleased = rule === 'released-noisy' || rule === 'released-x0';
    if (isReleased && lda > 0) refuse('lda', `rule ${rule} is the authors' own and takes no shift; use 0`);
    if (isReleased && copies > 0) refuse('copies', `rule ${rule} averages no gradients; use 0`);
    if (isReleased && lowPass) refuse('lowPass', `rule ${rule} blurs no gradients; use false`);
  });

export const synthesisConfigSchema = z.strictObject({
  /** N: synthetic images per epoch. They count toward every method's optimiser steps. */
  budget: z.int().min(0).max(10_000_000).default(600),
  /** Images per unit of work; fixed, so that results do not depend on the number of workers. */
  shardSize: z.int().min(1).max(4096).default(32),
  /** `anchored` starts from a noised real image of the class, `noise` from pure noise. */
  start: z.enum(['anchored', 'noise']).default('anchored'),
  /** t in (0, 1] to which an anchor is noised; `noise` always starts at 1. */
  startTime: z.number().gt(0).max(1).default(0.6),
  /**
   * First share of the epochs, rounded to whole ones, that train only on real images, so that the guide has learnt
   * before images are made.
   */
  after: z.number().min(0).max(0.9).default(0),
  /** Epochs between two syntheses; the images stay in between. As many as the run has: made once. */
  every: z.int().min(1).max(100_000).default(1),
  /**
   * `anchored` start times in order, each for an equal part of the epochs that train on synthetic images (diverse first,
   * then true to the anchor: DisCL, Liang et al. 2410.13674); null keeps `startTime`.
   */
  curriculum: z.array(z.number().gt(0).max(1)).min(1).max(1000).nullable().default(null),
  /** Denoising steps. */
  steps: z.int().min(1).max(1000).default(10),
  /** `ddim` (first order) or `dpmpp-2m` (DPM-Solver++, second order). */
  sampler: z.enum(['ddim', 'dpmpp-2m']).default('ddim'),
  guidance: guidanceConfigSchema.prefault({}),
});

export type GuidanceConfig = z.output<typeof guidanceConfigSchema>;
export type SynthesisConfig = z.output<typeof synthesisConfigSchema>;

/** Epochs before the first synthesis. */
export function epochsBefore({ after }: Pick<SynthesisConfig, 'after'>, epochs: number): number {
  return Math.round(after * epochs);
}

/** Whether workers need the training images' file: to start from them, or for their class statistics. */
export function readsAnchors({ start, guidance }: SynthesisConfig): boolean {
  return start === 'anchored' || guidance.lda > 0;
}
