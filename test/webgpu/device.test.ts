// The device `webgpu` as people meet it: by name, by `auto`, without a driver; and arrays that stay on it.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { float32 } from '../../tensor/array.ts';
import { compile } from '../../tensor/compile.ts';
import { busBytes, fetchTree, freeTree } from '../../tensor/device-arrays.ts';
import { chooseDevice, findDevice } from '../../tensor/onnxruntime-device.ts';
import tf from '../../tensor/tf.ts';
import { ballast } from '../support/cli.ts';
import { noSoftwareVulkan } from '../support/software-vulkan.ts';
import { newFolder, shapesPrior } from '../support/suite.ts';

const NOWHERE = { VK_DRIVER_FILES: '/nowhere.json', VK_ICD_FILENAMES: '/nowhere.json' };

async function sample(device: string, env: Record<string, string> = {}) {
  const folder = newFolder('webgpu');
  const args = ['prior', 'sample', await shapesPrior(), '--out', join(folder, 'grid.png')];
  const end = await ballast([...args, '--count', '8', '--steps', '5', '--device', device], { env });
  return { end, folder };
}

describe.skipIf(noSoftwareVulkan !== '')(`the device webgpu${noSoftwareVulkan}`, () => {
  it('is found, with the name of its adapter', async () => {
    const { name, description, choice } = await findDevice('webgpu');
    expect(name).toBe('webgpu');
    expect(description).toMatch(/^webgpu on SwiftShader Device/);
    expect(choice).toBe('set to webgpu');
  });

  it('is not chosen by `auto` where the CPU is faster, and the record says so', async () => {
    const { name, choice } = await chooseDevice(['webgpu']);
    expect(name).toBe('cpu'); // the driver computes on the same CPU, by way of shaders
    expect(choice).toMatch(
      /^auto: webgpu(?: on SwiftShader Device .*: a convolution takes [\d.]+ ms, [\d.]+ ms on the CPU|: its trial was not over after 60 s)$/,
    );
  });

  it('keeps results for the next run: only what is new crosses the bus', async () => {
    const [a, x] = [float32([256], new Float32Array(256)), float32([256], new Float32Array(256).fill(0.5))];
    const signature = { state: { a: { shape: [256], dtype: 'float32' } }, x: { shape: [256], dtype: 'float32' } } as const; // prettier-ignore
    const grow = await compile(
      ({ state, x }) => ({ state: { a: tf.add(state.a, x) }, sum: tf.sum(x) }),
      signature,
      { device: 'webgpu', keep: ['state'] },
    );
    const before = busBytes();
    let state = { a };
    for (let i = 0; i < 3; i++) {
      const { state: next, sum } = await grow.run({ state, x });
      expect(Array.from(sum.data)).toEqual([128]);
      freeTree(state);
      state = next;
    }
    expect(() => state.a.data).toThrow('on the GPU');
    const after = busBytes();
    expect(after.toDevice - before.toDevice).toBe(1024 + 3 * 1024); // the state once, x in each run
    expect(after.fromDevice - before.fromDevice).toBe(3 * 4);
    expect(Array.from((await fetchTree(state)).a.data)).toEqual(new Array(256).fill(1.5));
    expect(busBytes().fromDevice - after.fromDevice).toBe(1024);
    await grow.dispose();
  });

  it('samples the same images as the CPU', async () => {
    const [webgpu, cpu] = [await sample('webgpu'), await sample('cpu')];
    for (const { end } of [webgpu, cpu]) expect(end.code === 0 ? '' : end.stderr).toBe('');
    const pixels = ({ folder }: { folder: string }) => sharp(join(folder, 'grid.png')).raw().toBuffer();
    const [actual, expected] = [await pixels(webgpu), await pixels(cpu)];
    expect(actual.length).toBe(expected.length);
    // Five steps of float32 sums in another order, rounded to a byte.
    expect(Math.max(...actual.map((value, i) => Math.abs(value - expected[i]!)))).toBeLessThanOrEqual(1);
  });

  it('ends with one line that says what to install where no adapter is', async () => {
    const { end, folder } = await sample('webgpu', NOWHERE);
    expect(end.code).not.toBe(0);
    expect(end.stderr.trim()).toMatch(
      /^(?:ballast: |error: )?device webgpu: does not work here \(.*No supported adapters\); it needs a Vulkan driver of the GPU and libvulkan1 \(Debian\) or vulkan-loader \(Fedora\), see docs\/gpu.md$/,
    );
    expect(readdirSync(folder)).toEqual([]);
  });
});
