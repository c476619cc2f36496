/** Settings of `ballast prior train`: an unlabelled denoiser for one data set. */
import { z } from 'zod';
import { dataConfigSchema } from '../../config/data-config.ts';
import { denoiserConfigSchema } from '../../config/denoiser-config.ts';

export const priorConfigSchema = z.strictObject({
  data: dataConfigSchema,
  denoiser: denoiserConfigSchema.prefault({}),
  steps: z.int().min(1).default(4000),
  batchSize: z.int().min(1).default(64),
  /** Peak of a cosine schedule that ends at zero. */
  learningRate: z.number().positive().default(1e-3),
  warmupSteps: z.int().min(0).default(100),
  weightDecay: z.number().min(0).default(0.01),
  clipNorm: z.number().positive().default(1),
  /** Decay of the moving average of the weights, which is what is kept. */
  averageDecay: z.number().min(0).lt(1).default(0.999),
  seed: z.int().min(0).default(0),
  threads: z.int().min(1).default(1),
  engine: z.enum(['onnxruntime', 'reference']).default('onnxruntime'),
  /** Steps between pictures of samples, and between checkpoints. */
  sampleEvery: z.int().min(1).default(500),
  checkpointEvery: z.int().min(1).default(250),
});

export type PriorConfig = z.output<typeof priorConfigSchema>;
