/**
 * The `onnxruntime` engine: traces the function into one ONNX graph and runs it with onnxruntime-node, on a GPU if
 * onnxruntime-device.ts finds one, otherwise on the CPU. Optimised graphs of named functions are kept on disk
 * (graph-cache.ts); read from there, they give the same bits. `run` blocks its thread for the whole graph, so services
 * call it from a worker thread.
 */
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { createRequire } from 'node:module';
import type { NdArray, TypedArray } from './array.ts';
import type { Engine, EngineOptions, Program, RunnableProgram } from './program.ts';
import { findBlockSize } from './blocked-convolution.ts';
import { graphCache } from './graph-cache.ts';
import type { GraphCache, GraphFacts } from './graph-cache.ts';
import { graphKey } from './graph-key.ts';
import type { GraphKey } from './graph-key.ts';
import { modelDigest } from './onnx.ts';
import { findDevice } from './onnxruntime-device.ts';
import type { Device } from './onnxruntime-device.ts';
import { trace } from './trace.ts';

const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string };

export const onnxRuntimeEngine: Engine = {
  name: 'onnxruntime',
  describe: async ({ device = 'auto' }) =>
    `onnxruntime-node ${version} ${(await findDevice(device)).description}`,
  build,
};

async function build(
  program: Program,
  { threads, device: wanted = 'auto' }: EngineOptions,
): Promise<RunnableProgram> {
  const device = await findDevice(wanted);
  const cache = device.isGpu ? null : graphCache(); // graphs optimised for a GPU have never been tested
  const key = cache === null ? null : graphKey(program, `onnxruntime ${version}`, threads);
  if (cache === null || key === null) {
    const { bytes, facts } = await traceFor(device, program);
    return runnable(await createSession(bytes, device, threads), facts);
  }
  return (
    (await load(cache, key, device, threads)) ?? (await buildAndKeep(cache, key, program, device, threads))
  );
}

/** The kept, already optimised graph; null if there is none that works. */
async function load(
  cache: GraphCache,
  key: GraphKey,
  device: Device,
  threads: number,
): Promise<RunnableProgram | null> {
  const kept = await cache.read(key);
  if (kept === null) return null;
  try {
    const session = await createSession(kept.model, device, threads, { graphOptimizationLevel: 'disabled' });
    return { ...runnable(session, kept.facts), keptForm: kept.facts.form };
  } catch {
    await cache.forget(key);
    return null;
  }
}

async function buildAndKeep(
  cache: GraphCache,
  key: GraphKey,
  program: Program,
  device: Device,
  threads: number,
): Promise<RunnableProgram> {
  const { bytes, facts } = await traceFor(device, program);
  const path = await cache.reserve();
  if (path === null) return runnable(await createSession(bytes, device, threads), facts);
  try {
    const session = await createSession(bytes, device, threads, { optimizedModelFilePath: path });
    await cache.keep(key, { identity: program.identity!, ...facts, form: program.form() }, path);
    return runnable(session, facts);
  } catch (thrown) {
    const session = await createSession(bytes, device, threads); // throws as well, unless only the writing failed
    await cache.abandon(path, thrown);
    return runnable(session, facts);
  }
}

type TraceFacts = Pick<GraphFacts, 'digest' | 'usedInputs' | 'flops'>;

async function traceFor(
  { isGpu }: Device,
  { fn, inputs }: Program,
): Promise<{ bytes: Uint8Array; facts: TraceFacts }> {
  const block = isGpu ? null : await findBlockSize(); // the blocked layout is only for CPUs
  const { bytes, usedInputs, flops } = trace(fn, inputs, block);
  return { bytes, facts: { digest: modelDigest(bytes), usedInputs, flops } };
}

function createSession(
  model: Uint8Array,
  { executionProviders }: Device,
  threads: number,
  options: InferenceSession.SessionOptions = {},
): Promise<InferenceSession> {
  return InferenceSession.create(model, {
    executionProviders,
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
    // Denormals occur in optimiser moments and cost a hundredfold; zero is as good.
    extra: { session: { set_denormal_as_zero: '1' } },
    ...(process.env['BALLAST_ORT_PROFILE']
      ? { enableProfiling: true, profileFilePrefix: process.env['BALLAST_ORT_PROFILE'] }
      : {}),
    ...options,
  });
}

function runnable(session: InferenceSession, { digest, usedInputs, flops }: TraceFacts): RunnableProgram {
  return {
    digest,
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
