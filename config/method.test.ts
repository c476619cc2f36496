import { describe, expect, it } from 'vitest';
import { canonicalMethod, makesImages, resolveMethod } from './method.ts';

describe('resolveMethod', () => {
  it.each([
    ['erm', { synthesis: 'none', logitAdjustment: 0, sampling: 'natural' }],
    ['replay', { synthesis: 'replay', logitAdjustment: 0, sampling: 'natural' }],
    ['oversample', { synthesis: 'none', logitAdjustment: 0, sampling: 'class-balanced' }],
    ['oversample-sqrt', { synthesis: 'none', logitAdjustment: 0, sampling: 'square-root' }],
    ['logit-adjust', { synthesis: 'none', logitAdjustment: 1, sampling: 'natural' }],
    ['iois', { synthesis: 'iois', logitAdjustment: 0, sampling: 'natural' }],
    ['iois+logit-adjust', { synthesis: 'iois', logitAdjustment: 1, sampling: 'natural' }],
    ['iois + oversample', { synthesis: 'iois', logitAdjustment: 0, sampling: 'class-balanced' }],
    ['iois-released', { synthesis: 'iois-released', logitAdjustment: 0, sampling: 'natural' }],
  ])('%s', (method, axes) => {
    expect(resolveMethod(method)).toEqual(axes);
  });

  it.each([
    ['iois+erm', 'erm is plain training and joins nothing; say iois'],
    ['replay+iois', 'replay and iois both choose the synthesis; keep one'],
    ['iois+iois', 'iois is named twice'],
    ['boosting', "unknown method 'boosting'; Known: erm, replay, iois, iois-released, oversample"],
    ['iois+logit-ajust', 'did you mean logit-adjust?'],
    ['', "unknown method ''"],
  ])('refuses %s', (method, message) => {
    expect(() => resolveMethod(method)).toThrow(message);
  });
});

describe('canonicalMethod', () => {
  it('orders presets, so that equal methods have equal names', () => {
    expect(canonicalMethod('logit-adjust + iois')).toBe('iois+logit-adjust');
    expect(canonicalMethod('iois+logit-adjust')).toBe('iois+logit-adjust');
  });
});

describe('makesImages', () => {
  it('is true for both forms of IOIS alone', () => {
    expect(['erm', 'replay', 'iois', 'iois-released'].map((m) => makesImages(resolveMethod(m)))).toEqual([
      false,
      false,
      true,
      true,
    ]);
  });
});
