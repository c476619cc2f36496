// Every kernel, forward and backward, by WebGPU's shaders against tfjs's own JavaScript.
import { describe, it } from 'vitest';
import { CASES, COMPOSITIONS } from '../../tensor/testing/kernel-cases.ts';
import { expectClose, runOn } from '../../tensor/testing/kernel-comparison.ts';
import { noSoftwareVulkan } from '../support/software-vulkan.ts';

/** As between the engines on the CPU: sums in another order, and elementary functions of another library. */
const TOLERANCE = 2e-5;

/** Compositions whose shaders no other case has; each of the others costs seconds of compilation and shows nothing new. */
const OWN_SHADERS = [
  'matMul, left transposed',
  'matMul, both transposed',
  'linear',
  'attention',
  'normalise and affine',
  'conv2d 5×5 stride 2 over even sides', // four quarters, of odd and even numbers of taps
  'conv2d of eight images, stride 2 over an even and an odd side', // dilated
  'conv2d of eight images and channels, two outputs', // filters as large as the image
  'conv2d 2×3 stride 2, unpadded', // one tap, zeros on one side only
  'upsampleConv2d', // as many taps as pixels, zeros on one side only
] as const;

const cases = [...Object.entries(CASES), ...OWN_SHADERS.map((name) => [name, COMPOSITIONS[name]!] as const)];

describe.skipIf(noSoftwareVulkan !== '')(`kernels on WebGPU${noSoftwareVulkan}`, () => {
  it.each(cases)('%s', async (_name, example) => {
    const actual = await runOn('onnxruntime', example, 'webgpu');
    const expected = await runOn('reference', example);
    for (const name of Object.keys(expected)) expectClose(actual[name]!, expected[name]!, TOLERANCE, name);
  });
});
