import { expect, it } from 'vitest';
import { sizeOf } from '../tensor/array.ts';
import { resNetShapes } from './resnet.ts';

it.each([
  // torchvision.models: parameters of a network with 1000 classes, and its running statistics
  ['resnet18', 11_689_512 + 9_600],
  ['resnet34', 21_797_672 + 17_024],
  ['resnet50', 25_557_032 + 53_120],
] as const)('%s has as many numbers as torchvision’s', (architecture, count) => {
  const shapes = Object.values(resNetShapes(architecture, { channels: 3, classes: 1000 }));
  expect(shapes.reduce((sum, shape) => sum + sizeOf(shape), 0)).toBe(count);
});
