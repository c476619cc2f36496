import { describe, expect, it } from 'vitest';
import { blockConvolutions, findBlockSize } from './blocked-convolution.ts';
import type { ConvolutionOperands } from './convolution-operands.ts';
import type { OnnxNode } from './onnx.ts';

const conv = (x: string, y: string): OnnxNode => ({
  op: 'Conv',
  domain: '',
  inputs: [x, `${y}.weight`],
  outputs: [y],
  attributes: { pads: { ints: [1, 1, 1, 1] } },
});

/** 3×3 convolutions of 16 images of 5×5 pixels. */
const operandsOf =
  (
    inputs: number,
    outputs: number,
    form: ConvolutionOperands['weights']['form'] = 'plain',
    isSwapped = false,
  ) =>
  (node: OnnxNode): ConvolutionOperands => ({
    image: { source: node.inputs[0]!, isSwapped, shape: [16, inputs, 5, 5] },
    weights: { source: node.inputs[1]!, form, shape: [outputs, inputs, 3, 3] },
  });

const opsOf = (nodes: readonly OnnxNode[]) =>
  nodes.map(({ op, domain }) => (domain === '' ? op : `blocked ${op}`)).filter((op) => op !== 'Reshape');

describe('blockConvolutions', () => {
  it('reorders weights and images around a blocked convolution', () => {
    const { nodes } = blockConvolutions([conv('x', 'y')], 8, operandsOf(16, 32));
    expect(opsOf(nodes)).toEqual([
      'blocked ReorderInput',
      ...['blocked ReorderInput', 'Transpose'],
      ...['blocked Conv', 'blocked ReorderOutput'],
    ]);
    expect(nodes.at(-1)!.outputs).toEqual(['y']);
  });

  it('reorders an image once for two convolutions, and never between two that follow each other', () => {
    const convolutions = [conv('x', 'a'), conv('x', 'b'), conv('a', 'c')];
    const { nodes } = blockConvolutions(convolutions, 8, operandsOf(16, 16));
    const images = nodes.filter(({ op, inputs }) => op === 'ReorderInput' && /^[xabc]$/.test(inputs[0]!));
    expect(images.map(({ inputs }) => inputs[0])).toEqual(['x']);
  });

  it('makes turned weights from the blocks of the filter', () => {
    const nodes = [conv('x', 'y'), { ...conv('e', 'z'), inputs: ['e', 'y.weight'] }];
    const plain = operandsOf(16, 16);
    const turned = operandsOf(16, 16, 'turned');
    const lowered = blockConvolutions(nodes, 8, (node) => (node.outputs[0] === 'z' ? turned : plain)(node));
    expect(opsOf(lowered.nodes).filter((op) => op === 'Transpose')).toHaveLength(1);
    expect(opsOf(lowered.nodes).filter((op) => op === 'Gather')).toHaveLength(1);
  });

  it('makes swapped weights from the blocked form that another convolution needs as well', () => {
    const nodes = [conv('e', 'z'), { ...conv('x', 'y'), inputs: ['x', 'e'] }];
    const swapped = operandsOf(16, 16, 'swapped');
    const plain = operandsOf(16, 16);
    const lowered = blockConvolutions(nodes, 8, (node) => (node.outputs[0] === 'y' ? swapped : plain)(node));
    expect(lowered.nodes.filter(({ inputs }) => inputs[0] === 'e')).toHaveLength(1);
  });

  it('pads the columns of a swapped image beforehand', () => {
    const { nodes } = blockConvolutions([conv('x', 'y')], 8, operandsOf(16, 16, 'plain', true));
    expect(opsOf(nodes).filter((op) => op === 'Pad')).toHaveLength(1);
    const convolution = nodes.find(({ op }) => op === 'Conv');
    expect(convolution!.attributes['pads']).toEqual({ ints: [1, 0, 1, 0] });
  });

  it('leaves convolutions whose channels are no multiples, or that are not described', () => {
    expect(opsOf(blockConvolutions([conv('x', 'y')], 8, operandsOf(3, 16)).nodes)).toEqual(['Conv']);
    expect(opsOf(blockConvolutions([conv('x', 'y')], 16, operandsOf(24, 16)).nodes)).toEqual(['Conv']);
    expect(opsOf(blockConvolutions([conv('x', 'y')], 8, () => null).nodes)).toEqual(['Conv']);
  });
});

it('finds a block size that gives right results, or none', async () => {
  expect([8, 16, null]).toContain(await findBlockSize());
});
