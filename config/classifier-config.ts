/** The classifier: a small GroupNorm ResNet (models/classifier.ts). */
import { z } from 'zod';

export const classifierConfigSchema = z
  .strictObject({
    /** Channels of each stage; every stage after the first halves height and width. */
    widths: z.array(z.int().min(1).max(4096)).min(1).default([16, 32, 64]),
    /** Residual blocks of each stage. */
    blocksPerStage: z.int().min(1).max(64).default(1),
    /** Groups of each normalisation; divides every width. */
    groups: z.int().min(1).default(8),
    /** Also train on noised images x_t, so that guidance may trust gradients there (costs a second forward pass). */
    noiseAware: z.boolean().default(false),
  })
  .check((ctx) => {
    const { widths, groups } = ctx.value;
    const index = widths.findIndex((width) => width % groups !== 0);
    if (index >= 0)
      ctx.issues.push({
        code: 'custom',
        message: `it must be a multiple of classifier.groups (${groups})`,
        path: ['widths', index],
        input: ctx.value,
      });
  });

export type ClassifierConfig = z.output<typeof classifierConfigSchema>;
