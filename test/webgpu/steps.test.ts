// Whole steps of tiny networks by WebGPU's shaders against the CPU.
import { describe, expect, it } from 'vitest';
import type { DeviceName } from '../../common/engine-names.ts';
import { relativeDifferences } from '../../models/testing/gradient-cases.ts';
import { guidedInputs, NORMALIZED, runGuidedStep } from '../../models/testing/guided-case.ts';
import { classifierStepCase, denoiserStepCase } from '../../models/testing/step-cases.ts';
import { noSoftwareVulkan } from '../support/software-vulkan.ts';

/**
 * Sums in another order: float32 has a relative precision of 6e-8, and a step adds up to a few thousand products. The
 * same bound holds between the engines on the CPU (models/gradients.test.ts, models/guided-step.test.ts).
 */
const TOLERANCE = 2e-5;

describe.skipIf(noSoftwareVulkan !== '')(`steps on WebGPU${noSoftwareVulkan}`, () => {
  it('samples with guidance', async () => {
    const guidance = { ...NORMALIZED, direction: 'mixed' } as const;
    const run = (device: DeviceName) => runGuidedStep('onnxruntime', guidance, guidedInputs(), { device });
    const [actual, expected] = [await run('webgpu'), await run('cpu')];
    for (const name of ['x', 'x0'] as const)
      for (const [i, value] of expected[name].entries())
        expect(Math.abs(actual[name][i]! - value), `${name}[${i}]`).toBeLessThan(TOLERANCE);
  });

  it.each([
    ['a classifier', classifierStepCase],
    ['a prior', denoiserStepCase],
  ])(
    'trains %s for two steps, its state on the device: loss, gradient norm, parameters, moments, average',
    async (_name, example) => {
      const [actual, expected] = [await example.run('webgpu'), await example.run('cpu')];
      const differences = relativeDifferences(actual, expected);
      expect(Object.keys(differences).length).toBeGreaterThan(60);
      for (const [name, difference] of Object.entries(differences))
        expect({ name, isClose: difference < TOLERANCE, difference }).toMatchObject({ name, isClose: true });
    },
  );
});
