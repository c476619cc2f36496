/** The unlabelled diffusion prior's network: a small U-Net (models/denoiser.ts). */
import { z } from 'zod';

export const denoiserConfigSchema = z
  .strictObject({
    /** Channels of each level; every level after the first halves height and width. */
    widths: z.array(z.int().min(1).max(4096)).min(1).default([48, 96]),
    /** Residual blocks of each level. */
    blocksPerLevel: z.int().min(1).max(64).default(1),
    /** Groups of each normalisation; divides every width. */
    groups: z.int().min(1).default(8),
    /** Side of the pixel blocks that become channels before the first convolution (space to depth); 1 for none. */
    patch: z.int().min(1).max(16).default(2),
    /** Self-attention at the lowest resolution. */
    attention: z.boolean().default(true),
    /** Output of the network: velocity, image or noise. */
    prediction: z.enum(['v', 'x0', 'epsilon']).default('v'),
  })
  .check((ctx) => {
    const { widths, groups } = ctx.value;
    const index = widths.findIndex((width) => width % groups !== 0);
    if (index >= 0)
      ctx.issues.push({
        code: 'custom',
        message: `it must be a multiple of groups (${groups})`,
        path: ['widths', index],
        input: ctx.value,
      });
  });

export type DenoiserConfig = z.output<typeof denoiserConfigSchema>;
