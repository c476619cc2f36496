import { describe, expect, it } from 'vitest';
import { classifierConfigSchema } from '../../config/classifier-config.ts';
import { keyFromSeed } from '../../tensor/random.ts';
import { networkOf, openNetwork } from './network.ts';

const size = { channels: 3, classes: 4 };
const open = (settings: object) =>
  openNetwork(classifierConfigSchema.parse({ widths: [8, 8], groups: 4, ...settings }), size, keyFromSeed(1));

describe('networkOf', () => {
  it('gives a ResNet the scale of ImageNet, and the small network none, unless told otherwise', () => {
    const of = (settings: object) =>
      networkOf(classifierConfigSchema.parse(settings), size).normalization?.mean;
    expect(of({})).toBeUndefined();
    expect(of({ network: 'resnet50' })).toEqual([0.485, 0.456, 0.406]);
    expect(of({ network: 'resnet50', normalization: 'none' })).toBeUndefined();
    expect(of({ normalization: 'imagenet' })).toEqual([0.485, 0.456, 0.406]);
  });
});

describe('openNetwork', () => {
  it('freezes layers by the beginning of their names', async () => {
    const { params, buffers } = await open({ freeze: ['stem', 'stages.0'] });
    const layers = (values: object) =>
      [...new Set(Object.keys(values).map((name) => name.slice(0, 8)))].sort();
    expect(layers(params)).toEqual(['head.bia', 'head.wei', 'stages.1']);
    expect(layers(buffers)).toEqual(['stages.0', 'stem.con', 'stem.nor']);
  });

  it('slows all layers that train but the head', async () => {
    const { pass } = await open({ freeze: ['stem', 'stages.0'], backboneRate: 0.1 });
    expect(new Set(Object.values(pass.rateFactors))).toEqual(new Set([0.1]));
    expect(Object.keys(pass.rateFactors).every((name) => name.startsWith('stages.1'))).toBe(true);
    expect((await open({})).pass.rateFactors).toEqual({});
  });

  it('names a layer that is not there, with those that are', async () => {
    await expect(open({ freeze: ['layer1'] })).rejects.toThrow(
      "classifier.freeze: no layer is called 'layer1'; the network has stem, stages, head",
    );
    await expect(open({ freeze: ['stages.', 'stem'] })).rejects.toThrow("no layer is called 'stages.'");
    await expect(open({ freeze: ['stem', 'stages', 'head'] })).rejects.toThrow('every layer is frozen');
  });

  it('names a file of weights that is not there', async () => {
    await expect(open({ network: 'resnet18', weights: '/nowhere/w.safetensors' })).rejects.toThrow(
      'classifier.weights: /nowhere/w.safetensors: no such file',
    );
  });
});

it.each([
  [{ weights: 'w' }, 'no published weights for classifier.network small'],
  [{ network: 'resnet18', batchNorm: 'frozen' }, 'new weights have no statistics to freeze'],
  [{ network: 'resnet18', noiseAware: true }, "it would mix noised images into the batches' statistics"],
])('refuses %o', (settings, message) => {
  expect(() => classifierConfigSchema.parse(settings)).toThrow(message);
});
