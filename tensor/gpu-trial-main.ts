/** The process of gpu-trial.ts: `gpu-trial-main.js webgpu|cuda timed|untimed` prints a TrialResult. */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { toError } from '../common/errors.ts';
import { sizeOf } from './array.ts';
import type { TrialResult } from './gpu-trial.ts';
import { encodeModel } from './onnx.ts';

/** 8 images of 32 channels and 32 × 32 pixels, a 3×3 convolution to 32 channels: a layer of a small network. */
const IMAGES = [8, 32, 32, 32];
const FILTERS = [32, 32, 3, 3];
const WARM_UP = 1;
const RUNS = 3;

function value(name: string, shape: readonly number[]) {
  return { name, dtype: 'float32', shape } as const;
}

/** @throws Error unless 1 + 1 is 2 on this provider. */
async function requireSum(provider: string): Promise<void> {
  const model = encodeModel({
    nodes: [{ op: 'Add', domain: '', inputs: ['x', 'x'], outputs: ['y'], attributes: {} }],
    initializers: [],
    inputs: [value('x', [1])],
    outputs: [value('y', [1])],
  });
  const session = await open(model, provider);
  const { y } = await session.run({ x: new Tensor('float32', [1], [1]) });
  await session.release();
  if (y!.data[0] !== 2) throw new Error(`1 + 1 came out as ${String(y!.data[0])}`);
}

/** Milliseconds of one convolution on this provider, with its images from and back to memory: the best of a few. */
async function timeConvolution(provider: string): Promise<number> {
  const attributes = { kernel_shape: { ints: [3, 3] }, pads: { ints: [1, 1, 1, 1] }, strides: { ints: [1, 1] } }; // prettier-ignore
  const model = encodeModel({
    nodes: [{ op: 'Conv', domain: '', inputs: ['x', 'w'], outputs: ['y'], attributes }],
    initializers: [],
    inputs: [value('x', IMAGES), value('w', FILTERS)],
    outputs: [value('y', IMAGES)],
  });
  const session = await open(model, provider);
  const ones = (shape: readonly number[]) => new Tensor('float32', new Float32Array(sizeOf(shape)).fill(1), shape); // prettier-ignore
  const feeds = { x: ones(IMAGES), w: ones(FILTERS) };
  const times: number[] = [];
  for (let i = 0; i < WARM_UP + RUNS; i++) {
    const start = performance.now();
    await session.run(feeds);
    times.push(performance.now() - start);
  }
  await session.release();
  return Math.min(...times.slice(WARM_UP));
}

function open(model: Uint8Array, provider: string): Promise<InferenceSession> {
  return InferenceSession.create(model, {
    executionProviders: [provider],
    logSeverityLevel: 4,
    intraOpNumThreads: 1,
  });
}

async function tryProvider(provider: string, isTimed: boolean): Promise<TrialResult> {
  try {
    await requireSum(provider);
    if (!isTimed) return { gpuMs: 0, cpuMs: 0 };
    return { gpuMs: await timeConvolution(provider), cpuMs: await timeConvolution('cpu') };
  } catch (thrown) {
    const [line] = toError(thrown).message.split('\n');
    return { failure: line!.replace(/^.* was false\. /, '') }; // without the place in ONNX Runtime's source
  }
}

const [provider = 'cpu', kind] = process.argv.slice(2);
/** Resolves when the trial is over. */
export const main = tryProvider(provider, kind === 'timed').then((result) =>
  console.log(JSON.stringify(result)),
);
