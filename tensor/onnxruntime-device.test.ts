// The choice of a device, with trials whose results are given. Trials that run: test/webgpu.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { compile } from './compile.ts';
import type { GpuName, Trial } from './gpu-trial.ts';
import { chooseDevice, deviceFor, findDevice, installedGpus } from './onnxruntime-device.ts';
import { hasVulkanDriver } from './vulkan-drivers.ts';

/** Gone when the test ends. */
function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'ballast-device-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

const trials = (results: Partial<Record<GpuName, Trial>>) => (name: GpuName) =>
  Promise.resolve(results[name]!);
const FAST = { adapter: 'GeForce', gpuMs: 1, cpuMs: 30 };
const SLOW = { adapter: 'Intel UHD', gpuMs: 40.25, cpuMs: 30 };

it('is the CPU where no GPU is installed, without a trial', async () => {
  expect(await chooseDevice([], trials({}))).toEqual({
    name: 'cpu',
    executionProviders: ['cpu'],
    description: 'cpu',
    choice: 'auto: no GPU is installed',
  });
});

it('is a GPU that is faster than the CPU, with what the trial showed', async () => {
  expect(await chooseDevice(['webgpu'], trials({ webgpu: FAST }))).toEqual({
    name: 'webgpu',
    executionProviders: ['webgpu', 'cpu'],
    description: 'webgpu on GeForce',
    choice: 'auto: webgpu on GeForce: a convolution takes 1.0 ms, 30.0 ms on the CPU',
  });
});

it('is the CPU where the GPU is slower, with what the trial showed', async () => {
  expect(await chooseDevice(['webgpu'], trials({ webgpu: SLOW }))).toMatchObject({
    name: 'cpu',
    description: 'cpu',
    choice: 'auto: webgpu on Intel UHD: a convolution takes 40.3 ms, 30.0 ms on the CPU',
  });
});

it('is the next GPU where the first does not work, with the reason', async () => {
  const results = { cuda: { failure: 'no libcudart.so.12' }, webgpu: { ...FAST, adapter: null } };
  expect(await chooseDevice(['cuda', 'webgpu'], trials(results))).toMatchObject({
    name: 'webgpu',
    description: 'webgpu',
    choice: 'auto: cuda: no libcudart.so.12; webgpu: a convolution takes 1.0 ms, 30.0 ms on the CPU',
  });
});

it('tries CUDA where its libraries are', () => {
  const dir = folder();
  expect(installedGpus(dir)).not.toContain('cuda');
  writeFileSync(join(dir, 'libonnxruntime_providers_cuda.so'), '');
  if (process.platform === 'linux') expect(installedGpus(dir)[0]).toBe('cuda');
});

it('sees the Vulkan drivers that are installed or named, but not those that compute on the CPU', () => {
  const dir = folder();
  expect(hasVulkanDriver({}, [join(dir, 'none'), dir])).toBe(false);
  writeFileSync(join(dir, 'lvp_icd.x86_64.json'), '{}');
  expect(hasVulkanDriver({}, [dir])).toBe(false);
  writeFileSync(join(dir, 'nvidia_icd.json'), '{}');
  expect(hasVulkanDriver({}, [dir])).toBe(true);
  expect(hasVulkanDriver({ VK_DRIVER_FILES: `${dir}/none:${dir}/lvp_icd.x86_64.json` }, [])).toBe(true);
  expect(hasVulkanDriver({ VK_ICD_FILENAMES: join(dir, 'none') }, [dir])).toBe(false);
});

it('is the CPU where that is named, whatever else there is', async () => {
  expect(await findDevice('cpu')).toMatchObject({ name: 'cpu', choice: 'set to cpu' });
});

it('leaves to the CPU what WebGPU computes too coarsely or not at all', async () => {
  const webgpu = await chooseDevice(['webgpu'], trials({ webgpu: FAST }));
  const node = (op: string, ...outputs: string[]) => ({ op, domain: '', inputs: ['x'], outputs, attributes: {} }); // prettier-ignore
  const nodes = [node('Sin', 'a'), node('Exp', 'b'), node('MaxPool', 'c'), node('MaxPool', 'd', 'e')];
  expect(deviceFor(nodes, webgpu).executionProviders).toEqual([
    { name: 'webgpu', forceCpuNodeNames: ['a', 'd'] },
    'cpu',
  ]);
  expect(deviceFor([node('Exp', 'b')], webgpu)).toBe(webgpu);
  const cpu = await findDevice('cpu');
  expect(deviceFor(nodes, cpu)).toBe(cpu);
});

it('is one of the engine onnxruntime', async () => {
  const x = { shape: [], dtype: 'float32' } as const;
  const compiled = compile(({ x }) => ({ x }), { x }, { engine: 'reference', device: 'cuda' });
  await expect(compiled).rejects.toThrow(
    'device cuda: only the engine onnxruntime takes a device; reference finds',
  );
});
