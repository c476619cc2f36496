import { describe, expect, it } from 'vitest';
import {
  cosineBetas,
  cosineLevel,
  cosineTime,
  ddimIndices,
  ddimLevels,
  discreteLevels,
  linearBetas,
  onCosineTime,
  uniformLevels,
} from './schedule.ts';

describe('cosine schedule', () => {
  it('keeps the variance and knows its own time', () => {
    expect(cosineLevel(0)).toEqual({ t: 0, a: 1, s: 0 });
    expect(cosineLevel(2 / 3).a).toBeCloseTo(0.5, 14); // cos 60°
    for (const t of [0, 0.1, 0.5, 0.97, 1]) {
      const level = cosineLevel(t);
      expect(level.a ** 2 + level.s ** 2).toBeCloseTo(1, 14);
      expect(cosineTime(level)).toBeCloseTo(t, 14);
    }
  });
});

describe('discrete schedules', () => {
  it.each([
    // α products that OpenAI's guided-diffusion code computes, from the notes of its test vectors
    [
      'linear',
      linearBetas(),
      { 0: 0.9999, 1: 0.9997800920720721, 250: 0.5214230306185275, 999: 4.035829765375676e-5 },
    ],
    [
      'cosine',
      cosineBetas(),
      { 0: 0.999958715775178, 250: 0.8458879864968832, 500: 0.49228517244880304, 999: 2.4287669070348567e-9 },
    ],
  ] as const)('%s: has the signal power of guided-diffusion', (_, betas, expected) => {
    const levels = discreteLevels(betas);
    expect(levels).toHaveLength(1000);
    for (const [index, power] of Object.entries(expected)) {
      const { a, s } = levels[Number(index)]!;
      expect(Math.abs(a * a - power) / power).toBeLessThan(1e-10);
      expect(a * a + s * s).toBeCloseTo(1, 14);
    }
    expect(Math.max(...betas)).toBeLessThanOrEqual(0.999);
    expect(onCosineTime(levels[400]!)).toMatchObject({ a: levels[400]!.a, t: cosineTime(levels[400]!) });
  });
});

describe('the levels that are visited', () => {
  it('evenly spaced from the start time to no noise', () => {
    const levels = uniformLevels(0.75, 3);
    expect(levels.map(({ t }) => t)).toEqual([0.75, 0.5, 0.25, 0]);
    expect(levels.at(-1)).toEqual({ t: 0, a: 1, s: 0 });
    expect(() => uniformLevels(0, 3)).toThrow(/startTime 0/);
    expect(() => uniformLevels(0.5, 0)).toThrow(/steps 0/);
  });

  it('ddimN: every k-th index', () => {
    expect(ddimIndices(50, 1000).slice(0, 3)).toEqual([0, 20, 40]);
    expect(ddimIndices(50, 1000).at(-1)).toBe(980);
    expect(ddimIndices(12, 1000).at(-1)).toBe(11 * 84);
    expect(() => ddimIndices(501, 1000)).toThrow(/steps 501/);
    const levels = discreteLevels(linearBetas());
    const visited = ddimLevels(levels, 50);
    expect(visited).toHaveLength(51);
    expect(visited[0]).toBe(levels[980]);
    expect(visited.at(-1)).toMatchObject({ a: 1, s: 0 });
  });
});
