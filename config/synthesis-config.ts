/** How synthetic images are made: how many, from where, by which sampler and which guidance (models/guidance). */
import { z } from 'zod';

export const guidanceConfigSchema = z
  .strictObject({
    /**
     * `normalized`: a step of fixed length along the gradient at the detached x̂0. `released-noisy`, `released-x0`: the
     * two variants of the authors' code. `none`: unguided.
     */
    rule: z.enum(['normalized', 'released-noisy', 'released-x0', 'none']).default('normalized'),
    /** w of the normalised rule (in units of √d), s of the released ones. */
    scale: z.number().min(0).max(1000).default(0.25),
    /** How the strength depends on t: `sine` is sin(πt), `interval` is 1 inside `interval` and 0 outside. */
    schedule: z.enum(['sine', 'interval', 'constant']).default('sine'),
    /** Times at which `interval` guides. */
    interval: z.tuple([z.number().min(0).max(1), z.number().min(0).max(1)]).default([0.2, 0.8]),
    /** τ1, τ2 of the softened log-probability log(e^{τ1 z_y} / Σ_j e^{τ2 z_j}). */
    softening: z.tuple([z.number().gt(0), z.number().gt(0)]).default([1, 0.5]),
    /** `confident` ascends log p(y|x); `hard` ascends the entropy while y is the likeliest class; `mixed` alternates. */
    direction: z.enum(['confident', 'hard', 'mixed']).default('confident'),
  })
  .check((ctx) => {
    const [low, high] = ctx.value.interval;
    if (low >= high)
      ctx.issues.push({
        code: 'custom',
        message: 'its first number must be below its second',
        path: ['interval'],
        input: ctx.value,
      });
  });

export const synthesisConfigSchema = z.strictObject({
  /** N: synthetic images an epoch. Counts toward every method's optimiser steps. */
  budget: z.int().min(0).max(10_000_000).default(600),
  /** Images of one unit of work; fixed, so that results do not depend on the number of workers. */
  shardSize: z.int().min(1).max(4096).default(32),
  /** `anchored` starts from a noised real image of the class, `noise` from pure noise. */
  start: z.enum(['anchored', 'noise']).default('anchored'),
  /** t in (0, 1] to which an anchor is noised; `noise` always starts at 1. */
  startTime: z.number().gt(0).max(1).default(0.6),
  /** Denoising steps. */
  steps: z.int().min(1).max(1000).default(10),
  /** `ddim` (first order) or `dpmpp-2m` (DPM-Solver++, second order). */
  sampler: z.enum(['ddim', 'dpmpp-2m']).default('ddim'),
  guidance: guidanceConfigSchema.prefault({}),
});

export type GuidanceConfig = z.output<typeof guidanceConfigSchema>;
export type SynthesisConfig = z.output<typeof synthesisConfigSchema>;
