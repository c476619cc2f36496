/** The classifier: a small GroupNorm ResNet, or a ResNet-18, -34 or -50 (models/classifier.ts). */
import { z } from 'zod';

export const classifierConfigSchema = z
  .strictObject({
    /**
     * `small`: built from `widths`, `blocksPerStage` and `groups`. The others are torchvision's, for images from about
     * 64 px.
     */
    network: z.enum(['small', 'resnet18', 'resnet34', 'resnet50']).default('small'),
    /**
     * Initial weights of a ResNet, a safetensors file with torchvision's or timm's names. A head for other classes is
     * replaced by a new one. null: new weights.
     */
    weights: z.string().min(1).nullable().default(null),
    /**
     * Scaling of pixels for the network: `imagenet` by the mean and deviation of ImageNet, `none` to [−1, 1]; null:
     * `imagenet` for a ResNet.
     */
    normalization: z.enum(['imagenet', 'none']).nullable().default(null),
    /**
     * Batch normalisation of a ResNet in training: by each batch's statistics, or by the running ones, which then stay
     * fixed.
     */
    batchNorm: z.enum(['training', 'frozen']).default('training'),
    /** Layers that do not train, by name or prefix (`conv1`, `layer1`, `layer2.0`). */
    freeze: z.array(z.string().min(1)).default([]),
    /** Factor of the learning rate for all layers but the head. */
    backboneRate: z.number().min(0).max(1).default(1),
    /** Channels of each stage; every stage after the first halves height and width. */
    widths: z.array(z.int().min(1).max(4096)).min(1).default([16, 32, 64]),
    /** Residual blocks of each stage. */
    blocksPerStage: z.int().min(1).max(64).default(1),
    /** Groups of each normalisation; divides every width. */
    groups: z.int().min(1).default(8),
    /** Also trains on noised images x_t, so that guidance can trust gradients there (costs a second forward pass). */
    noiseAware: z.boolean().default(false),
  })
  .check((ctx) => {
    const refuse = (path: (string | number)[], message: string) =>
      ctx.issues.push({ code: 'custom', message, path, input: ctx.value });
    const { network, weights, batchNorm, noiseAware, widths, groups } = ctx.value;
    const index = widths.findIndex((width) => width % groups !== 0);
    if (index >= 0) refuse(['widths', index], `it must be a multiple of classifier.groups (${groups})`);
    if (network === 'small' && weights !== null)
      refuse(
        ['weights'],
        'there are no published weights for classifier.network small; choose a resnet, or omit classifier.weights',
      );
    if (network !== 'small' && batchNorm === 'frozen' && weights === null)
      refuse(
        ['batchNorm'],
        'new weights have no statistics to freeze; name classifier.weights, or use training',
      );
    if (network !== 'small' && batchNorm === 'training' && noiseAware)
      refuse(['noiseAware'], "it would mix noised images into the batches' statistics; set classifier.batchNorm to frozen"); // prettier-ignore
  });

export type ClassifierConfig = z.output<typeof classifierConfigSchema>;
