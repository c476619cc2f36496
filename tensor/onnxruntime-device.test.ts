import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { UserError } from '../common/errors.ts';
import { compile } from './compile.ts';
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

it('is the CPU where that is named, whatever else there is', async () => {
  expect(await findDevice('cpu')).toMatchObject({ description: 'cpu', isGpu: false });
});

it.each(['cuda'] as const)('refuses %s by name where it does not work, with the reason', async (name) => {
  const device = await findDevice(name).catch((thrown: unknown) => thrown);
  if (device instanceof UserError)
    expect(device.message).toMatch(new RegExp(`^device ${name}: does not work here \\(.+\\); .+ docs/gpu.md$`)); // prettier-ignore
  else expect(device).toMatchObject({ description: name, isGpu: true });
});

it('is one of the engine onnxruntime', async () => {
  const x = { shape: [], dtype: 'float32' } as const;
  const compiled = compile(({ x }) => ({ x }), { x }, { engine: 'reference', device: 'cuda' });
  await expect(compiled).rejects.toThrow(
    'device cuda: only the engine onnxruntime takes a device; reference finds',
  );
});
