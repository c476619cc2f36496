import { describe, expect, it } from 'vitest';
import { compile } from '../tensor/compile.ts';
import { foldIn, keyFromSeed, normal } from '../tensor/random.ts';
import { tellApart } from './telling-apart.ts';
import { TEXTURE_FEATURES, textureFeatures, textureFilters } from './texture-features.ts';

/** `count` rows of two features, N((shift, 0), I). */
function rowsOf(count: number, shift: number, seed: number) {
  const values = normal(keyFromSeed(seed), 2 * count);
  const rows = Array.from({ length: count }, (_, i) => [values[2 * i]! + shift, values[2 * i + 1]!]);
  return { rows, sources: rows.map((_, i) => i) };
}

describe('tellApart', () => {
  it('is Φ(shift/2) for Gaussians that far apart', () => {
    // Φ(1) = 0.8413 for a shift of 2; 1,000 images of each side leave a standard error of 0.008
    expect(tellApart(rowsOf(1000, 0, 1), rowsOf(1000, 2, 2))).toBeCloseTo(0.841, 1);
    expect(Math.abs(tellApart(rowsOf(1000, 0, 1), rowsOf(1000, 2, 2))! - 0.8413)).toBeLessThan(0.025);
  });

  it('is a guess for two draws of one distribution', () => {
    expect(Math.abs(tellApart(rowsOf(500, 0, 3), rowsOf(500, 0, 4))! - 0.5)).toBeLessThan(0.05);
  });

  it('is not fooled by copies of a few images: what it is tried on has other sources', () => {
    // 20 sources per side from one distribution, each 30 times: a classifier that recognised copies would always be
    // right
    const copies = (seed: number) => {
      const { rows } = rowsOf(20, 0, seed);
      const copied = rows.flatMap((row) => Array<number[]>(30).fill(row));
      return { rows: copied, sources: copied.map((_, i) => Math.floor(i / 30)) };
    };
    expect(tellApart(copies(5), copies(6))!).toBeLessThan(0.75);
  });

  it('says nothing of fewer than ten sources', () => {
    expect(tellApart(rowsOf(9, 0, 1), rowsOf(100, 5, 2))).toBeNull();
  });
});

it('texture features tell faint stripes at once, and two draws of the same images not', async () => {
  const [n, side] = [40, 16];
  const shape = [2 * n, 1, side, side];
  const featuresOf = async (seed: number, stripes: number) => {
    const data = new Float32Array(2 * n * side * side);
    for (let i = 0; i < 2 * n; i++) {
      const noise = normal(foldIn(keyFromSeed(seed), i), side * side);
      for (let k = 0; k < side * side; k++)
        data[i * side * side + k] = 0.3 * noise[k]! + (i < n ? 0 : k % 2 === 0 ? stripes : -stripes);
    }
    const step = await compile(
      textureFeatures(),
      { images: { shape, dtype: 'float32' } },
      { engine: 'onnxruntime', threads: 1, constants: { filters: textureFilters(1) } },
    );
    const { features } = await step.run({ images: { shape, dtype: 'float32', data } });
    await step.dispose();
    const rows = Array.from({ length: 2 * n }, (_, i) =>
      features.data.slice(i * TEXTURE_FEATURES, (i + 1) * TEXTURE_FEATURES),
    );
    const part = (own: (typeof rows)[number][]) => ({ rows: own, sources: own.map((_, i) => i) });
    return tellApart(part(rows.slice(0, n)), part(rows.slice(n)));
  };
  expect(await featuresOf(1, 0.15)).toBeGreaterThan(0.95);
  expect(await featuresOf(1, 0)).toBeLessThan(0.7);
});
