import { expect, it } from 'vitest';
import { bytesOf } from '../../data/images.ts';
import { joinExamples, pseudoLabelled } from './examples.ts';

const hard = { images: Uint8Array.of(1, 2), labels: Int32Array.of(0, 1), soft: null };
const soft = { images: Uint8Array.of(3), labels: Int32Array.of(1), soft: Float32Array.of(0.25, 0.75) };
const none = { images: new Uint8Array(), labels: new Int32Array(), soft: null };

it('joins parts; hard labels become one-hot rows beside soft ones', () => {
  const joined = joinExamples([hard, soft, none], 2);
  expect([...bytesOf(joined.images)]).toEqual([1, 2, 3]);
  expect([...joined.labels]).toEqual([0, 1, 1]);
  expect([...joined.soft!]).toEqual([1, 0, 0, 1, 0.25, 0.75]);
  expect(joinExamples([hard, none], 2)).toBe(hard);
});

it('pseudo-labels are soft, or those of confident images alone', () => {
  const images = Uint8Array.of(1, 2, 3);
  const probabilities = Float32Array.of(0.96, 0.04, 0.5, 0.5, 0.01, 0.99);
  expect(pseudoLabelled(images, probabilities, 2, null)).toEqual({
    images,
    labels: Int32Array.of(0, 0, 1),
    soft: probabilities,
  });
  expect(pseudoLabelled(images, probabilities, 2, 0.95)).toEqual({
    images: Uint8Array.of(1, 3),
    labels: Int32Array.of(0, 1),
    soft: null,
  });
});
