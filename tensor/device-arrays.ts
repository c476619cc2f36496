/**
 * Arrays that stay on the GPU between runs (`CompileOptions.keep`), so that a training state or the images of a sampler
 * do not cross the bus in every step. They can only be passed to another run, fetched or freed: `data` throws. Only WebGPU
 * has them; on other devices kept results are arrays in memory, which the functions here leave as they are.
 */
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import type { DType, NdArray, TypedArray } from './array.ts';
import { encodeModel } from './onnx.ts';
import { flatten, mapTree } from './tree.ts';
import type { Tree } from './tree.ts';

export class DeviceArray implements NdArray {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly tensor: OrtTensor;

  constructor(tensor: OrtTensor) {
    this.dtype = tensor.type as DType;
    this.shape = tensor.dims;
    this.tensor = tensor;
  }

  get data(): TypedArray {
    throw new Error('this array is on the GPU: fetch it first');
  }
}

/** Whether a node of a tree is an array, on whichever device. */
export function isAnyArray(node: Tree<NdArray>): node is NdArray {
  return node instanceof DeviceArray || ('data' in node && ArrayBuffer.isView(node.data));
}

/** The same tree in memory. Arrays on the GPU are freed there. */
export async function fetchTree<T extends Tree<NdArray>>(tree: T): Promise<T> {
  const kept = deviceArraysOf(tree);
  if (kept.length === 0) return tree;
  const copies = await download(kept);
  freeTree(tree);
  return mapTree(tree, isAnyArray, (array) => copies.get(array) ?? array) as T;
}

/** Frees what is on the GPU; these arrays must not be used again. */
export function freeTree(tree: Tree<NdArray>): void {
  for (const { tensor } of deviceArraysOf(tree)) tensor.dispose();
}

function deviceArraysOf(tree: Tree<NdArray>): DeviceArray[] {
  const arrays = flatten(tree, isAnyArray).map(([, array]) => array);
  return arrays.filter((array) => array instanceof DeviceArray);
}

/** Copies by a graph that returns its inputs: ONNX Runtime for Node cannot read a buffer otherwise (`getData` aborts). */
async function download(arrays: readonly DeviceArray[]): Promise<Map<NdArray, NdArray>> {
  const values = arrays.map(({ dtype, shape }, i) => ({ name: `x${i}`, dtype, shape }));
  const model = encodeModel({
    nodes: values.map(({ name }) => ({ op: 'Identity', domain: '', inputs: [name], outputs: [`out:${name}`], attributes: {} })), // prettier-ignore
    initializers: [],
    inputs: values,
    outputs: values.map((value) => ({ ...value, name: `out:${value.name}` })),
  });
  const session = await InferenceSession.create(model, {
    executionProviders: ['webgpu'],
    logSeverityLevel: 3,
  });
  const results = await session.run(Object.fromEntries(arrays.map(({ tensor }, i) => [`x${i}`, tensor])));
  await session.release();
  return new Map(
    arrays.map((array, i) => {
      const { data } = results[`out:x${i}`]!;
      count('fromDevice', (data as TypedArray).byteLength);
      return [array, { dtype: array.dtype, shape: array.shape, data: data as TypedArray }];
    }),
  );
}

export interface BusBytes {
  readonly toDevice: number;
  readonly fromDevice: number;
}

let bytes: BusBytes = { toDevice: 0, fromDevice: 0 };

function count(way: keyof BusBytes, sizeBytes: number): void {
  bytes = { ...bytes, [way]: bytes[way] + sizeBytes };
}

/** Bytes that this thread's graphs have taken from memory and given back to it, on a GPU. */
export function busBytes(): BusBytes {
  return bytes;
}

/** Input of ONNX Runtime. */
export function toOrt(array: NdArray, isOnGpu: boolean): OrtTensor {
  if (array instanceof DeviceArray) return array.tensor;
  const { dtype, data, shape } = array;
  if (isOnGpu) count('toDevice', data.byteLength);
  return new OrtTensor(dtype, data as Float32Array, [...shape]);
}

/** Result of ONNX Runtime. */
export function fromOrt(tensor: OrtTensor, isOnGpu: boolean): NdArray {
  if (tensor.location === 'gpu-buffer') return new DeviceArray(tensor);
  const data = tensor.data as TypedArray;
  if (isOnGpu) count('fromDevice', data.byteLength);
  return { dtype: tensor.type as DType, shape: tensor.dims, data };
}
