/**
 * Chooses the device on which ONNX Runtime computes in this process (docs/gpu.md). A GPU is first tried in a process of
 * its own (gpu-trial.ts), because a broken driver ends the process that loads it; `auto` takes it only where the trial
 * is faster on it than on the CPU. CUDA's GPU is the first one in CUDA_VISIBLE_DEVICES, WebGPU's the adapter that the
 * Vulkan loader puts first: one process per GPU.
 *
 * WebGPU has been tested on a driver that computes on the CPU; CUDA has not been tested, for lack of a GPU.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { InferenceSession } from 'onnxruntime-node';
import type { DeviceName } from '../common/engine-names.ts';
import { UserError } from '../common/errors.ts';
import { createLog } from '../common/log.ts';
import { tryGpu } from './gpu-trial.ts';
import type { GpuName, Trial } from './gpu-trial.ts';
import { nodeName } from './onnx.ts';
import type { OnnxNode } from './onnx.ts';
import { hasVulkanDriver } from './vulkan-drivers.ts';

export interface Device {
  readonly name: 'cpu' | GpuName;
  /** Execution providers, the preferred one first. */
  readonly executionProviders: InferenceSession.ExecutionProviderConfig[];
  /** The device, and its adapter where that is known: `webgpu on GeForce`. */
  readonly description: string;
  /** Why this one, for the records of a run: under `auto`, what the trials showed. */
  readonly choice: string;
}

const cpu = (choice: string): Device => ({
  name: 'cpu',
  executionProviders: ['cpu'],
  description: 'cpu',
  choice,
});
const PROVIDERS = {
  cuda: [{ name: 'cuda', deviceId: 0 }, 'cpu'],
  webgpu: ['webgpu', 'cpu'],
} satisfies Record<GpuName, InferenceSession.ExecutionProviderConfig[]>;
const NEEDS: Readonly<Record<GpuName, string>> = {
  cuda: "CUDA's libraries must lie beside ONNX Runtime's",
  webgpu: 'it needs a Vulkan driver of the GPU and libvulkan1 (Debian) or vulkan-loader (Fedora)',
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
      return Promise.resolve(cpu('set to cpu'));
    case 'cuda':
    case 'webgpu':
      return demand(name);
    case 'auto':
      return chooseDevice(installedGpus(libraryFolder()));
    default:
      return name satisfies never;
  }
}

async function demand(name: GpuName): Promise<Device> {
  const trial = await tryGpu(name, { isTimed: false });
  if ('failure' in trial)
    throw new UserError(
      `device ${name}: does not work here (${trial.failure}); ${NEEDS[name]}, see docs/gpu.md`,
    );
  return gpu(name, trial, `set to ${name}`);
}

/** The GPUs that `auto` tries, the preferred one first: those whose libraries and drivers are installed. */
export function installedGpus(libraries: string): GpuName[] {
  const hasCuda = process.platform === 'linux' && existsSync(join(libraries, 'libonnxruntime_providers_cuda.so')); // prettier-ignore
  return [...(hasCuda ? ['cuda' as const] : []), ...(hasVulkanDriver() ? ['webgpu' as const] : [])];
}

/** The first of these GPUs that works and is faster than the CPU, otherwise the CPU; one line of the log says which. */
export async function chooseDevice(candidates: readonly GpuName[], trial = tryGpu): Promise<Device> {
  const results: string[] = [];
  for (const name of candidates) {
    const result = await trial(name, { isTimed: true });
    results.push(`${name}${describeAdapter(result)}: ${describeTrial(result)}`);
    if ('failure' in result || result.gpuMs >= result.cpuMs) continue;
    return told(gpu(name, result, `auto: ${results.join('; ')}`));
  }
  if (results.length === 0) return cpu('auto: no GPU is installed');
  return told(cpu(`auto: ${results.join('; ')}`));
}

function told(device: Device): Device {
  createLog().info('device chosen', { device: device.description, why: device.choice });
  return device;
}

/**
 * The device for a graph of these nodes: with WebGPU, the CPU computes the nodes for which ONNX Runtime's shaders are
 * too coarse (sine and cosine, to 2e-4) or incomplete (a pooling that tells which elements it took).
 */
export function deviceFor(nodes: readonly OnnxNode[], device: Device): Device {
  const isForCpu = ({ op, outputs }: OnnxNode) =>
    op === 'Sin' || op === 'Cos' || (op === 'MaxPool' && outputs.length > 1);
  const forceCpuNodeNames = nodes.filter(isForCpu).map(nodeName);
  if (device.name !== 'webgpu' || forceCpuNodeNames.length === 0) return device;
  return { ...device, executionProviders: [{ name: 'webgpu', forceCpuNodeNames }, 'cpu'] };
}

function gpu(name: GpuName, trial: Trial, choice: string): Device {
  const description = `${name}${describeAdapter(trial)}`;
  return { name, executionProviders: PROVIDERS[name], description, choice };
}

function describeAdapter(trial: Trial): string {
  return 'failure' in trial || trial.adapter === null ? '' : ` on ${trial.adapter}`;
}

function describeTrial(trial: Trial): string {
  if ('failure' in trial) return trial.failure;
  return `a convolution takes ${trial.gpuMs.toFixed(1)} ms, ${trial.cpuMs.toFixed(1)} ms on the CPU`;
}

function libraryFolder(): string {
  const root = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  return join(root, 'bin', 'napi-v6', process.platform, process.arch);
}
