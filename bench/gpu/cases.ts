/** The cases of `npm run bench -- gpu`, made one at a time: the larger ones have hundreds of megabytes of numbers. */
import type { ComputeCase } from '../case-parts.ts';
import { classifierTraining, guidedSamplingCase, smallClassifier } from '../compute-cases.ts';
import { DEFAULT_UNET } from '../../models/unet.ts';

type Cases = Readonly<Record<string, () => ComputeCase>>;

const PRIOR = { ...DEFAULT_UNET, channels: 3 };
const SMALL = smallClassifier(3, 7);
const RESNET = { architecture: 'resnet50', channels: 3, classes: 7 } as const;

/** For a card: the shipped networks on photographs, and the paper's classifier. */
const CARD: Cases = {
  'guided-sampling-64': () =>
    guidedSamplingCase({ name: 'guided-sampling-64', network: SMALL, unet: PRIOR, size: 64, batch: 32 }),
  'classifier-step-64': () =>
    classifierTraining({ name: 'classifier-step-64', network: SMALL, size: 64, batch: 64 }),
  'guided-sampling-224': () =>
    guidedSamplingCase({ name: 'guided-sampling-224', network: SMALL, unet: PRIOR, size: 224, batch: 8 }),
  'classifier-step-224': () =>
    classifierTraining({ name: 'classifier-step-224', network: SMALL, size: 224, batch: 32 }),
  'resnet50-step-224': () =>
    classifierTraining({ name: 'resnet50-step-224', network: RESNET, size: 224, batch: 16 }),
};

const TINY = { network: { widths: [8], blocksPerStage: 1, groups: 4, channels: 1, classes: 3 }, size: 8 };
const TINY_PRIOR = { channels: 1, widths: [8], blocksPerLevel: 1, patch: 2, groups: 4, attention: false };

/** For a driver that computes on the CPU: they show that the benchmark works, and nothing else. */
const SOFTWARE: Cases = {
  'guided-sampling-tiny': () =>
    guidedSamplingCase({ ...TINY, name: 'guided-sampling-tiny', unet: TINY_PRIOR, batch: 2, steps: 2 }),
  'classifier-step-tiny': () => classifierTraining({ ...TINY, name: 'classifier-step-tiny', batch: 4 }),
};

/** Their names, in the order in which they are measured. */
export function gpuCaseNames(isSoftware: boolean): string[] {
  return Object.keys(isSoftware ? SOFTWARE : CARD);
}

export function gpuCase(name: string): ComputeCase {
  return { ...CARD, ...SOFTWARE }[name]!();
}
