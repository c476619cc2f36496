import { describe, expect, it } from 'vitest';
import { parseRunConfig } from '../../config/run-config.ts';
import { imagesEpochOf, makesImagesIn, synthesisOf } from './synthesis-plan.ts';

const configOf = (training: object, synthesis: object, method = 'iois') =>
  parseRunConfig({ method, prior: 'prior.safetensors', training, synthesis });
const epochs = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

describe('imagesEpochOf', () => {
  it('is the epoch itself by default', () => {
    const config = configOf({ epochs: 3 }, {});
    expect(epochs(3).map((epoch) => imagesEpochOf(config, epoch))).toEqual([1, 2, 3]);
  });

  it('keeps images for `every` epochs, and none in the finish', () => {
    const config = configOf({ epochs: 10, finish: 0.3 }, { every: 3 });
    expect(epochs(10).map((epoch) => imagesEpochOf(config, epoch))).toEqual([1, 1, 1, 4, 4, 4, 7, 0, 0, 0]);
    expect(epochs(10).filter((epoch) => makesImagesIn(config, epoch))).toEqual([1, 4, 7]);
  });

  it('is 0 before the share of epochs that come first, and counts `every` from there', () => {
    const config = configOf({ epochs: 10, finish: 0.2 }, { after: 0.3, every: 2 });
    expect(epochs(10).map((epoch) => imagesEpochOf(config, epoch))).toEqual([0, 0, 0, 4, 4, 6, 6, 8, 0, 0]);
  });

  it('of one-shot synthesis is one epoch for all, whatever the method', () => {
    for (const method of ['iois+one-shot', 'replay+one-shot']) {
      const config = configOf({ epochs: 10 }, {}, method);
      expect(epochs(10).map((epoch) => imagesEpochOf(config, epoch))).toEqual([0, 0, 0, 4, 4, 4, 4, 4, 4, 4]);
      expect(epochs(10).filter((epoch) => makesImagesIn(config, epoch))).toEqual([4]);
    }
  });

  it('is 0 for methods that make no images', () => {
    expect(imagesEpochOf(configOf({ epochs: 3 }, {}, 'oversample'), 1)).toBe(0);
    expect(imagesEpochOf(configOf({ epochs: 3 }, { budget: 0 }), 1)).toBe(0);
  });
});

it('the curriculum has each start time for an equal part of the epochs before the finish', () => {
  const config = configOf({ epochs: 10, finish: 0.2 }, { curriculum: [0.8, 0.65, 0.5, 0.35] });
  const starts = epochs(8).map((epoch) => synthesisOf(config, epoch).startTime);
  expect(starts).toEqual([0.8, 0.8, 0.65, 0.65, 0.5, 0.5, 0.35, 0.35]);
});

it('the curriculum begins where images do', () => {
  const config = configOf({ epochs: 10, finish: 0.2 }, { after: 0.4, curriculum: [0.8, 0.5] });
  expect([5, 6, 7, 8].map((epoch) => synthesisOf(config, epoch).startTime)).toEqual([0.8, 0.8, 0.5, 0.5]);
});
