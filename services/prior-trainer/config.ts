/** Settings of `ballast prior train`: an unlabelled denoiser for one data set. */
import { z } from 'zod';
import { dataConfigSchema } from '../../config/data-config.ts';
import { denoiserConfigSchema } from '../../config/denoiser-config.ts';
import { deviceSchema, engineSchema } from '../../config/engine.ts';

export const priorConfigSchema = z
  .strictObject({
    data: dataConfigSchema,
    /** Folders, CSV, NPZ or IDX files of images without labels, trained on too; validation and test images are left out. */
    unlabelled: z.array(z.string().min(1)).default([]),
    /** Whether to train on the images of `data.source`; false: only on `unlabelled`. */
    labelled: z.boolean().default(true),
    /**
     * Sampling of labelled images: uniform over images, or their classes by P(c) ∝ √n_c or 1. A long tail is hardly
     * learnt with uniform sampling. The network itself has no label input; unlabelled images are used once per epoch.
     */
    sampling: z.enum(['natural', 'square-root', 'class-balanced']).default('natural'),
    denoiser: denoiserConfigSchema.prefault({}),
    /** Optimiser steps. */
    steps: z.int().min(1).default(4000),
    /** Images per step. */
    batchSize: z.int().min(1).default(64),
    /** Peak of a cosine schedule that ends at zero. */
    learningRate: z.number().positive().default(1e-3),
    /** Steps over which the learning rate rises from zero. */
    warmupSteps: z.int().min(0).default(100),
    /** λ of AdamW. */
    weightDecay: z.number().min(0).default(0.01),
    /** Largest norm of the whole gradient. */
    clipNorm: z.number().positive().default(1),
    /** Decay of the moving average of the weights, which is the result. */
    averageDecay: z.number().min(0).lt(1).default(0.999),
    /** Seed of all random numbers. */
    seed: z.int().min(0).default(0),
    /** Compute threads. They change low bits of results. */
    threads: z.int().min(1).default(1),
    engine: engineSchema,
    device: deviceSchema,
    /** Steps between pictures of samples. */
    sampleEvery: z.int().min(1).default(500),
    /** Steps between checkpoints. */
    checkpointEvery: z.int().min(1).default(250),
  })
  .refine((config) => config.labelled || config.unlabelled.length > 0, {
    path: ['labelled'],
    message: 'without labelled images, unlabelled must name some; use true',
  });

export type PriorConfig = z.output<typeof priorConfigSchema>;
