/**
 * The `onnxruntime` engine: traces the function into one ONNX graph and runs it with onnxruntime-node, on the
 * device that onnxruntime-device.ts finds. Optimised graphs of named functions are kept on disk
 * (graph-cache.ts); read from there, they give the same bits. `run` blocks its thread for the whole graph, so services
 * call it from a worker thread.
 */
import { InferenceSession } from 'onnxruntime-node';
import { createRequire } from 'node:module';
import type { Engine, EngineOptions, Program, RunnableProgram } from './program.ts';
import { findBlockSize } from './blocked-convolution.ts';
import { fromOrt, toOrt } from './device-arrays.ts';
import { graphCache } from './graph-cache.ts';
import type { GraphCache, GraphFacts } from './graph-cache.ts';
import { graphKey } from './graph-key.ts';
import type { GraphKey } from './graph-key.ts';
import { modelDigest } from './onnx.ts';
import type { OnnxNode } from './onnx.ts';
import { deviceFor, findDevice } from './onnxruntime-device.ts';
import type { Device } from './onnxruntime-device.ts';
import { trace } from './trace.ts';

const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string };

export const onnxRuntimeEngine: Engine = {
  name: 'onnxruntime',
  describe: async ({ device = 'auto' }) => {
    const { description, choice } = await findDevice(device);
    return { engine: `onnxruntime-node ${version} ${description}`, choice };
  },
  build,
};

async function build(
  program: Program,
  { threads, device: wanted = 'auto' }: EngineOptions,
): Promise<RunnableProgram> {
  const device = await findDevice(wanted);
  const cache = device.name === 'cpu' ? graphCache() : null; // graphs optimised for a GPU have never been tested
  const key = cache === null ? null : graphKey(program, `onnxruntime ${version}`, threads);
  if (cache === null || key === null) {
    const { bytes, nodes, results, facts } = await traceFor(device, program);
    const locations = device.name === 'webgpu' ? locationsOf(results, program.keep) : {};
    return runnable(
      await createSession(bytes, deviceFor(nodes, device), threads, locations),
      facts,
      device.name !== 'cpu',
    );
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
  { name }: Device,
  { fn, inputs }: Program,
): Promise<{ bytes: Uint8Array; nodes: readonly OnnxNode[]; results: readonly string[]; facts: TraceFacts }> {
  const target = name === 'webgpu' ? name : name === 'cpu' ? await findBlockSize() : null;
  const { bytes, nodes, outputs, usedInputs, flops } = trace(fn, inputs, target);
  const results = outputs.map(({ name }) => name);
  return { bytes, nodes, results, facts: { digest: modelDigest(bytes), usedInputs, flops } };
}

function createSession(
  model: Uint8Array,
  { name, executionProviders }: Device,
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
    extra: {
      session: { set_denormal_as_zero: '1' },
      // It would undo what webgpu-operators.ts does.
      ...(name === 'webgpu' ? { optimization: { disable_specified_optimizers: 'Pad_Fusion' } } : {}),
    },
    ...(process.env['BALLAST_ORT_PROFILE']
      ? { enableProfiling: true, profileFilePrefix: process.env['BALLAST_ORT_PROFILE'] }
      : {}),
    ...options,
  });
}

/** Kept results stay on the GPU. */
function locationsOf(results: readonly string[], keep: Program['keep']): InferenceSession.SessionOptions {
  const place = (name: string) => (keep(name) ? 'gpu-buffer' : 'cpu');
  return { preferredOutputLocation: Object.fromEntries(results.map((name) => [name, place(name)])) };
}

function runnable(
  session: InferenceSession,
  { digest, usedInputs, flops }: TraceFacts,
  isOnGpu = false,
): RunnableProgram {
  return {
    digest,
    flops,
    run: async (feeds) => {
      const tensors = usedInputs.map((name) => [name, toOrt(feeds[name]!, isOnGpu)] as const);
      const results = await session.run(Object.fromEntries(tensors));
      return Object.fromEntries(
        Object.entries(results).map(([name, tensor]) => [name, fromOrt(tensor, isOnGpu)]),
      );
    },
    dispose: async () => {
      session.endProfiling();
      await session.release();
    },
  };
}
