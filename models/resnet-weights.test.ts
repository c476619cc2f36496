import { describe, expect, it } from 'vitest';
import type { ArrayMap } from '../tensor/array.ts';
import { keyFromSeed } from '../tensor/random.ts';
import { resNetShapes } from './resnet.ts';
import { pretrainedResNet } from './resnet-weights.ts';
import { drawnParameters } from './testing/drawn.ts';

const config = { architecture: 'resnet18', channels: 3, classes: 1000 } as const;
const file: ArrayMap = {
  ...drawnParameters(resNetShapes('resnet18', config)).params,
  'bn1.num_batches_tracked': { dtype: 'int32', shape: [], data: Int32Array.of(7) },
};
const read = (arrays: ArrayMap, classes = 1000, channels = 3) =>
  pretrainedResNet({ ...config, classes, channels }, arrays, keyFromSeed(1), 'w.safetensors');

describe('pretrainedResNet', () => {
  it('takes every value of a file, its head too where the classes are as many', () => {
    const { params, replacedClasses } = read(file);
    expect(replacedClasses).toBeNull();
    const { 'bn1.num_batches_tracked': _count, ...wanted } = file;
    expect(Object.keys(params).sort()).toEqual(Object.keys(wanted).sort());
    expect(params['fc.weight']).toBe(file['fc.weight']);
    expect(params['layer4.1.bn2.running_var']).toBe(file['layer4.1.bn2.running_var']);
  });

  it('replaces the head where the classes differ, and draws it where there is none', () => {
    const { params, replacedClasses } = read(file, 7);
    expect(replacedClasses).toBe(1000);
    expect(params['fc.weight']!.shape).toEqual([7, 512]);
    expect(params['fc.bias']!.data).toEqual(new Float32Array(7));
    const { 'fc.weight': _weight, 'fc.bias': _bias, ...headless } = file;
    expect(read(headless, 7).replacedClasses).toBe(0);
  });

  it('takes off a prefix of every name', () => {
    const wrapped = Object.fromEntries(
      Object.entries(file).map(([name, array]) => [`module.${name}`, array]),
    );
    expect(read(wrapped).params['conv1.weight']).toBe(file['conv1.weight']);
  });

  const without = (name: string) =>
    Object.fromEntries(Object.entries(file).filter(([each]) => each !== name));
  it.each([
    ['a value that is missing', without('layer2.0.downsample.0.weight'), 3, "it lacks 'layer2.0.downsample.0.weight'; its own names begin with 'bn1.bias'"],
    ['nothing', {}, 3, "it lacks 'conv1.weight' and 99 more; its own names begin with nothing: it is empty"],
    ['a value too many', { ...file, 'layer1.0.conv3.weight': file['conv1.weight']! }, 3, "it holds 'layer1.0.conv3.weight', which resnet18 does not have"],
    ['another shape', { ...file, 'bn1.bias': file['layer2.0.bn1.bias']! }, 3, "'bn1.bias' is [128], not [64]"],
    ['images of other channels', file, 1, "'conv1.weight' is [64, 3, 7, 7], not [64, 1, 7, 7]; the file's network takes images of 3 channels: set data.channels to 3"],
    ['whole numbers', { ...file, 'bn1.bias': { dtype: 'int32', shape: [64], data: new Int32Array(64) } as const }, 3, "'bn1.bias' holds int32"],
  ])('refuses %s', (_what, arrays, channels, message) => {
    expect(() => read(arrays, 1000, channels)).toThrow(`w.safetensors: does not fit resnet18: ${message}`);
  }); // prettier-ignore
});
