import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { findDevice, probeDevice } from './onnxruntime-device.ts';

const folder = () => mkdtempSync(join(tmpdir(), 'ballast-device-'));

it('is the CPU, without a probe, where no CUDA libraries are', async () => {
  expect(await probeDevice(folder())).toEqual({
    executionProviders: ['cpu'],
    description: 'cpu',
    isGpu: false,
  });
});

it('is the CPU, with the reason, where the libraries are there and CUDA does not run', async (context) => {
  if ((await findDevice()).isGpu) context.skip('CUDA runs here');
  const dir = folder();
  writeFileSync(join(dir, 'libonnxruntime_providers_cuda.so'), ''); // what the probe looks for, no more
  const { executionProviders, description, isGpu } = await probeDevice(dir);
  expect(executionProviders).toEqual(['cpu']);
  expect(description).toMatch(
    process.platform === 'linux' ? /^cpu \(CUDA libraries are there, but: .+\)$/ : /^cpu$/,
  );
  expect(isGpu).toBe(false);
});
