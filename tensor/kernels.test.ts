import { describe, expect, it } from 'vitest';
import { float32 } from './array.ts';
import type { NdArray } from './array.ts';
import { compile } from './compile.ts';
import { CASES, COMPOSITIONS } from './testing/kernel-cases.ts';
import { draw, expectClose, runOn, withGradients } from './testing/kernel-comparison.ts';
import type { Case } from './testing/kernel-comparison.ts';
import { itOnTensorFlow } from './testing/tensorflow.ts';
import { KERNEL_RULES } from './trace-kernels.ts';

/** Central differences of the objective, on the reference engine. */
async function finiteDifferences(example: Case, name: 'x' | 'y'): Promise<NdArray> {
  const inputs = { x: draw(example.x, 'x', example.domain), y: draw(example.y ?? [1], 'y', example.domain) };
  const signature = { x: { shape: inputs.x.shape, dtype: 'float32' }, y: { shape: inputs.y.shape, dtype: 'float32' } } as const; // prettier-ignore
  const executable = await compile(withGradients(example), signature, { engine: 'reference' });
  const step = 2 ** -7;
  const slopes: number[] = [];
  for (let i = 0; i < inputs[name].data.length; i++) {
    const at = async (delta: number) => {
      const moved = float32(inputs[name].shape, inputs[name].data);
      moved.data[i]! += delta;
      return Number((await executable.run({ ...inputs, [name]: moved }))['objective']!.data[0]);
    };
    slopes.push(((await at(step)) - (await at(-step))) / (2 * step));
  }
  return float32(inputs[name].shape, slopes);
}

describe('kernels', () => {
  it('has a case for every rule', () => {
    expect(Object.keys(CASES).sort()).toEqual(Object.keys(KERNEL_RULES).sort());
  });

  describe.each(Object.entries({ ...CASES, ...COMPOSITIONS }))('%s', (_name, example) => {
    const agrees = async (engine: string) => {
      const actual = await runOn(engine, example);
      const expected = await runOn('reference', example);
      for (const name of Object.keys(expected)) expectClose(actual[name]!, expected[name]!, 2e-5, name);
    };
    it('agrees between engines', () => agrees('onnxruntime'));
    itOnTensorFlow('agrees on TensorFlow', () => agrees('tensorflow'));

    if (example.forwardOnly) return;
    it('has the gradient that finite differences show', async () => {
      const { dx, dy } = await runOn('onnxruntime', example);
      expectClose(dx!, await finiteDifferences(example, 'x'), 1e-2, 'dx');
      if (example.y) expectClose(dy!, await finiteDifferences(example, 'y'), 1e-2, 'dy');
    });
  });
});
