/** Public surface of `ballast/tensor`: compile tfjs functions, random numbers, optimisers, safetensors. */
export * from './array.ts';
export { compile } from './compile.ts';
export type { ArraysOf, CompileOptions, Executable, Signature, TensorSpec, TensorsOf } from './compile.ts';
export { fetchTree, freeTree } from './device-arrays.ts';
export * from './random.ts';
