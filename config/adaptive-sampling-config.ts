/**
 * How per-class accuracy determines the quota of synthetic images per class (coordinator/epoch/adaptive-sampling.ts).
 */
import { z } from 'zod';

export const adaptiveSamplingConfigSchema = z
  .strictObject({
    /**
     * `softmax`: N·softmax((1−a)/T), smoothed, by largest remainder. `released`: the authors' floor(N·softmax(1−a)),
     * which reads no other option here. `uniform`; `inverse-frequency`: ∝ 1/n_c.
     */
    rule: z.enum(['released', 'softmax', 'uniform', 'inverse-frequency']).default('softmax'),
    /** T of `softmax`; smaller gives more to the worst classes. */
    temperature: z.number().gt(0).max(1000).default(0.5),
    /**
     * Images whose accuracy is used: the `train` images, which saturates in small classes, or fresh `variants` of them,
     * on which no run trains: anchors noised as for synthesis and denoised without guidance, at each synthesis.
     */
    measure: z.enum(['train', 'variants']).default('train'),
    /** Variants of each class. */
    variants: z.int().min(1).max(100_000).default(32),
    /** Weight of the past in the moving average of accuracy; 0 ignores the past. */
    smoothing: z.number().min(0).lt(1).default(0.5),
    /** Minimum images of a class per epoch. */
    floor: z.int().min(0).default(0),
    /** Maximum images of a class per epoch; null for no limit. */
    cap: z.int().min(1).nullable().default(null),
  })
  .check((ctx) => {
    const { floor, cap } = ctx.value;
    if (cap !== null && cap < floor)
      ctx.issues.push({
        code: 'custom',
        message: `it must be at least adaptiveSampling.floor (${floor})`,
        path: ['cap'],
        input: ctx.value,
      });
  });

export type AdaptiveSamplingConfig = z.output<typeof adaptiveSamplingConfigSchema>;
