// A whole run whose trainer and worker compute by WebGPU's shaders, beside the same run on the CPU: training, guided
// synthesis, evaluation, report. Networks and images are the smallest, because the driver compiles shaders for seconds.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ArrayMap } from '../../tensor/array.ts';
import { decodeSafetensors } from '../../tensor/safetensors.ts';
import { ballast } from '../support/cli.ts';
import { noSoftwareVulkan } from '../support/software-vulkan.ts';
import { newFolder, readMetrics, readReport, shapesData } from '../support/suite.ts';

/** Sums in another order, over four optimiser steps and two syntheses of two steps. Seen: 3e-8. */
const TOLERANCE = 2e-5;
const SIZE = ['--image-size', '8'];
const PRIOR = [
  ...['--steps', '20', '--batch-size', '8', '--set', 'denoiser.attention=false'],
  ...['--set', 'denoiser.widths=[8]', '--set', 'denoiser.groups=4'],
];
const RUN = [
  ...['--method', 'iois', '--epochs', '2', '--workers', '1', '--validation', 'none', '--batch-size', '4'],
  ...['--budget', '4', '--set', 'synthesis.shardSize=4', '--steps', '2', '--set', 'training.steps=4'],
  ...['--set', 'classifier.widths=[8]', '--set', 'classifier.groups=4'],
];

/** Runs `ballast`. @throws Error unless it ends well */
async function done(...args: readonly string[]): Promise<void> {
  const { code, stderr } = await ballast(args);
  if (code !== 0) throw new Error(`ballast ${args[0]} ended with ${code}\n${stderr}`);
}

/** The trainer's state after an epoch: parameters, average, moments. */
function stateAfter(dir: string, epoch: number): ArrayMap {
  const checkpoints = join(dir, 'checkpoints');
  const folder = readdirSync(checkpoints).find((name) => name.startsWith(`epoch-00${epoch}.`) && !name.endsWith('.json')); // prettier-ignore
  const path = join(checkpoints, folder!, 'trainer', 'trainer.safetensors');
  return decodeSafetensors(readFileSync(path), path).arrays;
}

/** Largest difference of two states' values, relative to values above 1. */
function difference(a: ArrayMap, b: ArrayMap): number {
  const each = Object.entries(a).flatMap(([name, { data }]) =>
    Array.from(data, (value, i) => Math.abs(value - b[name]!.data[i]!) / Math.max(1, Math.abs(value))),
  );
  return each.reduce((most, value) => Math.max(most, value), 0); // NaN where one value is
}

describe.skipIf(noSoftwareVulkan !== '')(`a run on WebGPU${noSoftwareVulkan}`, () => {
  let folder: string;
  const at = (device: string) => join(folder, device);

  beforeAll(async () => {
    folder = newFolder('webgpu-run');
    const data = ['--data', await shapesData(), ...SIZE];
    await done('prior', 'train', ...data, ...PRIOR, '--device', 'cpu', '--out', join(folder, 'prior'));
    const prior = ['--prior', join(folder, 'prior', 'prior.safetensors')];
    for (const device of ['webgpu', 'cpu'])
      await done('run', ...data, ...prior, ...RUN, '--device', device, '--out', at(device));
  }, 900_000); // as a test's limit in this project

  it('learns what the same run learns on the CPU: parameters, average, moments', () => {
    const [webgpu, cpu] = [stateAfter(at('webgpu'), 2), stateAfter(at('cpu'), 2)];
    expect(Object.keys(webgpu).length).toBeGreaterThan(30);
    expect(difference(webgpu, cpu)).toBeLessThan(TOLERANCE);
    expect(difference(webgpu, stateAfter(at('webgpu'), 1))).toBeGreaterThan(10 * TOLERANCE); // it moves
  });

  it('makes as many images of each class, and ends with the same metrics on test', () => {
    const quotas = (device: string) =>
      readMetrics(at(device)).map(({ quota, syntheticImages }) => ({ quota, syntheticImages }));
    expect(quotas('webgpu')).toEqual(quotas('cpu'));
    expect(quotas('webgpu').map(({ syntheticImages }) => syntheticImages)).toEqual([4, 4]);
    const [webgpu, cpu] = [readReport(at('webgpu')).test!, readReport(at('cpu')).test!];
    expect(webgpu.confusion).toEqual(cpu.confusion);
    expect(Math.abs(webgpu.nll - cpu.nll)).toBeLessThan(TOLERANCE);
  });

  it('records what its trainer and its worker computed on', () => {
    const { starts } = JSON.parse(readFileSync(join(at('webgpu'), 'environment.json'), 'utf8')) as {
      starts: { engines: unknown }[];
    };
    const engine: unknown = expect.stringMatching(/^onnxruntime-node [\d.]+ webgpu on SwiftShader Device/);
    expect(starts.map(({ engines }) => engines)).toEqual([
      [
        { actor: 'classifier-trainer', engine, choice: 'set to webgpu' },
        { actor: 'diffusion-worker-0', engine, choice: 'set to webgpu' },
      ],
    ]);
    const html = join(at('webgpu'), 'report.html');
    expect(existsSync(html) && readFileSync(html, 'utf8')).toContain('SwiftShader Device');
  });
});
