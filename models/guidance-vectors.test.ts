import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../common/package-root.ts';
import tf from '../tensor/tf.ts';
import { sample } from './gaussian-case.ts';
import { cosineBetas, ddimLevels, discreteLevels, linearBetas } from './schedule.ts';

await tf.setBackend('cpu');

interface VectorCase {
  schedule: 'linear' | 'cosine';
  stepsCount: number;
  clipDenoised: boolean;
  guidanceScale: number;
  shapeNCHW: [number, number, number, number];
  dataMean: number[];
  dataVariance: number[];
  classifierWeights: number[][];
  classifierBias: number[];
  labels: number[];
  initialNoise: number[];
  samplesAtStepIndex: Record<string, number[]>;
}

// Trajectories of OpenAI's guided-diffusion code on a Gaussian case; they are not part of the package.
const PATH = process.env['BALLAST_VECTORS'] ?? join(packageRoot(), '../shared/vectors/guided-ddim.json');
const cases = existsSync(PATH)
  ? (JSON.parse(readFileSync(PATH, 'utf8')) as { cases: VectorCase[] }).cases
  : [];

describe("the released rule follows guided-diffusion's trajectories", () => {
  if (cases.length === 0)
    it('needs the test vectors', ({ skip }) => {
      skip(`no file ${PATH}: set BALLAST_VECTORS to the path of guided-ddim.json`);
    });

  it.each(cases)('$schedule, $stepsCount steps, scale $guidanceScale, clip $clipDenoised', (vector) => {
    const model = {
      mean: vector.dataMean,
      variance: vector.dataVariance,
      W: vector.classifierWeights,
      b: vector.classifierBias,
      labels: vector.labels,
      x: vector.initialNoise,
      shape: vector.shapeNCHW,
    };
    const config = {
      rule: 'released-noisy',
      clip: vector.clipDenoised,
      softening: [1, 1],
      direction: 'confident',
      lowPass: false,
    } as const;
    const levels = ddimLevels(
      discreteLevels(vector.schedule === 'linear' ? linearBetas() : cosineBetas()),
      vector.stepsCount,
    );
    const trajectory = sample(model, config, 'ddim', levels, () => vector.guidanceScale);
    for (const [step, expected] of Object.entries(vector.samplesAtStepIndex)) {
      const worst = Math.max(...expected.map((value, i) => Math.abs(trajectory[Number(step)]![i]! - value)));
      expect(worst).toBeLessThan(1e-5); // float32: at most 1.5e-6 was seen
    }
  });
});
