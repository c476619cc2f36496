/**
 * The `onnxruntime` engine: traces the function into one ONNX graph and runs it with onnxruntime-node, on a GPU where
 * onnxruntime-device.ts finds one, else on the CPU.
 * `run` blocks its thread for the whole graph, so services call it from a worker thread.
 */
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { createRequire } from 'node:module';
import type { NdArray, TypedArray } from './array.ts';
import type { Engine, EngineOptions, Program, RunnableProgram } from './engine.ts';
import { findBlockSize } from './blocked-convolution.ts';
import { modelDigest } from './onnx.ts';
import { findDevice } from './onnxruntime-device.ts';
import { trace } from './trace.ts';

const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string };

export const onnxRuntimeEngine: Engine = {
  name: 'onnxruntime',
  describe: async () => `onnxruntime-node ${version} ${(await findDevice()).description}`,
  build,
};

async function build({ inputs, fn }: Program, { threads }: EngineOptions): Promise<RunnableProgram> {
  const { executionProviders, isGpu } = await findDevice();
  const block = isGpu ? null : await findBlockSize(); // the blocked layout is for processors only
  const { bytes, usedInputs, flops } = trace(fn, inputs, block);
  const session = await InferenceSession.create(bytes, {
    executionProviders,
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
    // Denormals come up in optimiser moments and cost a hundredfold; zero is as good.
    extra: { session: { set_denormal_as_zero: '1' } },
    ...(process.env['BALLAST_ORT_PROFILE']
      ? { enableProfiling: true, profileFilePrefix: process.env['BALLAST_ORT_PROFILE'] }
      : {}),
  });
  return {
    digest: modelDigest(bytes),
    flops,
    run: async (feeds) => {
      const tensors = usedInputs.map((name) => [name, toOrt(feeds[name]!)] as const);
      const results = await session.run(Object.fromEntries(tensors));
      return Object.fromEntries(Object.entries(results).map(([name, tensor]) => [name, fromOrt(tensor)]));
    },
    dispose: async () => {
      session.endProfiling();
      await session.release();
    },
  };
}

function toOrt({ dtype, data, shape }: NdArray): OrtTensor {
  return new OrtTensor(dtype, data as Float32Array, [...shape]);
}

function fromOrt(tensor: OrtTensor): NdArray {
  return {
    dtype: tensor.type as NdArray['dtype'],
    shape: tensor.dims,
    data: tensor.data as TypedArray,
  };
}
