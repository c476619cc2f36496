import { describe, expect, it } from 'vitest';
import { blockConvolutions, findBlockSize } from './blocked-convolution.ts';
import type { OnnxNode } from './onnx.ts';

const conv = (x: string, y: string): OnnxNode => ({
  op: 'Conv',
  domain: '',
  inputs: [x, `${y}.weight`],
  outputs: [y],
  attributes: {},
});
const shapes = (inputs: number, outputs: number) => () => ({ inputs, outputs, kernel: [3, 3] as const });
const opsOf = (nodes: readonly OnnxNode[]) =>
  nodes.map(({ op, domain }) => (domain === '' ? op : `blocked ${op}`));

describe('blockConvolutions', () => {
  it('reorders weights and images around a blocked convolution', () => {
    const { nodes } = blockConvolutions([conv('x', 'y')], 8, shapes(16, 32));
    expect(opsOf(nodes)).toEqual([
      ...['Reshape', 'Transpose', 'Reshape'],
      ...['blocked ReorderInput', 'blocked Conv', 'blocked ReorderOutput'],
    ]);
    expect(nodes.at(-1)!.outputs).toEqual(['y']);
  });

  it('reorders an image once for two convolutions, and never between two that follow each other', () => {
    const { nodes } = blockConvolutions([conv('x', 'a'), conv('x', 'b'), conv('a', 'c')], 8, shapes(16, 16));
    expect(opsOf(nodes).filter((op) => op === 'blocked ReorderInput')).toHaveLength(1);
  });

  it('makes weights that are an image with batch and channels swapped from its blocked form', () => {
    const swap: OnnxNode = { op: 'Transpose', domain: '', inputs: ['e'], outputs: ['y.weight'], attributes: { perm: { ints: [1, 0, 2, 3] } } }; // prettier-ignore
    const { nodes } = blockConvolutions([swap, conv('x', 'y'), conv('e', 'z')], 8, shapes(16, 32));
    const reorders = nodes.filter(({ op }) => op === 'ReorderInput').map(({ inputs }) => inputs[0]);
    expect(reorders).toEqual(['e', 'x']); // the second convolution finds e reordered
    expect(nodes.filter(({ inputs }) => inputs.includes('y.weight'))).toEqual([]);
  });

  it('leaves convolutions whose channels are no multiples, or that are not described', () => {
    expect(opsOf(blockConvolutions([conv('x', 'y')], 8, shapes(3, 16)).nodes)).toEqual(['Conv']);
    expect(opsOf(blockConvolutions([conv('x', 'y')], 16, shapes(24, 16)).nodes)).toEqual(['Conv']);
    expect(opsOf(blockConvolutions([conv('x', 'y')], 8, () => null).nodes)).toEqual(['Conv']);
  });
});

it('finds a block size that gives right results, or none', async () => {
  expect([8, 16, null]).toContain(await findBlockSize());
});
