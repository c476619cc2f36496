/**
 * Chooses the device on which ONNX Runtime computes in this process. The npm package does not include its CUDA
 * libraries (docs/gpu.md). If they are beside its binding, a small graph is run once on the GPU, and the CPU is used if
 * that fails. The GPU is the first one in CUDA_VISIBLE_DEVICES: one process per GPU.
 *
 * The code after a successful probe has not been tested, for lack of a GPU.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import type { DeviceName } from '../common/engine-names.ts';
import { toError, UserError } from '../common/errors.ts';
import { encodeModel } from './onnx.ts';

export interface Device {
  /** Execution providers, the preferred one first. */
  readonly executionProviders: InferenceSession.ExecutionProviderConfig[];
  /** `cuda`, `cpu`, or `cpu` with the reason why installed CUDA libraries are not used. */
  readonly description: string;
  readonly isGpu: boolean;
}

const CPU: Device = { executionProviders: ['cpu'], description: 'cpu', isGpu: false };
const CUDA: Device = {
  executionProviders: [{ name: 'cuda', deviceId: 0 }, 'cpu'],
  description: 'cuda',
  isGpu: true,
};

const found = new Map<DeviceName, Promise<Device>>();

/** The device of this process; determined once. @throws UserError if a requested device does not work. */
export function findDevice(name: DeviceName = 'auto'): Promise<Device> {
  const known = found.get(name);
  if (known !== undefined) return known;
  const looked = lookFor(name);
  found.set(name, looked);
  return looked;
}

function lookFor(name: DeviceName): Promise<Device> {
  switch (name) {
    case 'cpu':
      return Promise.resolve(CPU);
    case 'cuda':
      return demand(CUDA, "CUDA's libraries must lie beside ONNX Runtime's");
    case 'auto':
      return probeDevice(libraryFolder());
    default:
      return name satisfies never;
  }
}

async function demand(device: Device, needs: string): Promise<Device> {
  try {
    await requireSum(device.executionProviders);
    return device;
  } catch (thrown) {
    const { description } = device;
    throw new UserError(
      `device ${description}: does not work here (${reasonOf(thrown)}); ${needs}, see docs/gpu.md`,
      {
        cause: thrown,
      },
    );
  }
}

/** CUDA or the CPU, given that CUDA's libraries, if any, are in `folder`. */
export async function probeDevice(folder: string): Promise<Device> {
  if (process.platform !== 'linux' || !existsSync(join(folder, 'libonnxruntime_providers_cuda.so')))
    return CPU;
  try {
    await requireSum(CUDA.executionProviders);
    return CUDA;
  } catch (thrown) {
    return { ...CPU, description: `cpu (CUDA libraries are there, but: ${reasonOf(thrown)})` };
  }
}

function reasonOf(thrown: unknown): string {
  return toError(thrown).message.split('\n')[0]!;
}

function libraryFolder(): string {
  const root = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  return join(root, 'bin', 'napi-v6', process.platform, process.arch);
}

/** Throws unless 1 + 1 is 2 on these providers. */
async function requireSum(executionProviders: Device['executionProviders']): Promise<void> {
  const value = (name: string) => ({ name, dtype: 'float32', shape: [1] }) as const;
  const model = encodeModel({
    nodes: [{ op: 'Add', domain: '', inputs: ['x', 'x'], outputs: ['y'], attributes: {} }],
    initializers: [],
    inputs: [value('x')],
    outputs: [value('y')],
  });
  const session = await InferenceSession.create(model, { executionProviders, logSeverityLevel: 4 });
  const { y } = await session.run({ x: new OrtTensor('float32', [1], [1]) });
  await session.release();
  if (y!.data[0] !== 2) throw new Error(`1 + 1 came out as ${String(y!.data[0])}`);
}
