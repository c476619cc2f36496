// `ballast prior import` as a person runs it, and what uses an imported prior. Numbers: against diffusers itself where
// BALLAST_PEER_PYTHON has it; stored ones are checked in services/prior-importer/.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { decodeModelFile } from '../models/model-file.ts';
import { drawnParameters } from '../models/testing/drawn.ts';
import type { UNet2DConfig } from '../models/unet2d/config.ts';
import { unet2dShapes } from '../models/unet2d/config.ts';
import { unet2d } from '../models/unet2d/network.ts';
import {
  networkOf,
  noiseOf,
  schedulerSchema,
  unet2dSchema,
} from '../services/prior-importer/unet2d-schema.ts';
import { compile } from '../tensor/compile.ts';
import { decodeSafetensors, encodeSafetensors } from '../tensor/safetensors.ts';
import type { Tensor, Tensor4D } from '../tensor/tf.ts';
import { specOf } from '../tensor/tree.ts';
import { ballast } from './support/cli.ts';
import { newFolder, readReport, runArgs } from './support/suite.ts';

const CONFIG = {
  ...{ _class_name: 'UNet2DModel', sample_size: 8, in_channels: 3, out_channels: 3, layers_per_block: 1 },
  ...{ block_out_channels: [8, 16], norm_num_groups: 4, attention_head_dim: 8 },
  ...{ down_block_types: ['DownBlock2D', 'AttnDownBlock2D'], up_block_types: ['AttnUpBlock2D', 'UpBlock2D'] },
};
const SCHEDULER = { _class_name: 'DDPMScheduler', beta_schedule: 'linear', prediction_type: 'epsilon' };

/** A model of drawn weights that makes colour images of 8 px. */
function savedModel(): string {
  const dir = newFolder('diffusers');
  const network = networkOf(unet2dSchema.parse(CONFIG), noiseOf(schedulerSchema.parse(SCHEDULER)));
  const { params } = drawnParameters(unet2dShapes(network));
  writeFileSync(join(dir, 'config.json'), JSON.stringify(CONFIG, null, 2));
  writeFileSync(join(dir, 'scheduler_config.json'), JSON.stringify(SCHEDULER, null, 2));
  writeFileSync(
    join(dir, 'diffusion_pytorch_model.safetensors'),
    encodeSafetensors(params, { format: 'pt' }),
  );
  return dir;
}

async function imported(): Promise<string> {
  const prior = join(newFolder('imported'), 'prior.safetensors');
  const end = await ballast(['prior', 'import', savedModel(), '--out', prior]);
  expect(end).toMatchObject({ code: 0, stderr: '' });
  expect(end.stdout).toContain(`prior: ${prior} (8×8×3 images, 0.0 million parameters)`);
  return prior;
}

describe('ballast prior import', () => {
  it('makes a prior that is sampled, and never writes over one', async () => {
    const prior = await imported();
    const picture = join(newFolder('samples'), 'samples.png');
    const args = ['prior', 'sample', prior, '--out', picture, '--count', '9', '--steps', '4'];
    expect(await ballast(args)).toMatchObject({ code: 0, stderr: '' });
    const stats = await sharp(picture).stats();
    expect(stats.channels.length).toBeGreaterThanOrEqual(3);
    expect(stats.channels[0]!.stdev).toBeGreaterThan(5); // not blank
    const again = await ballast(['prior', 'import', savedModel(), '--out', prior]);
    expect(again).toMatchObject({ code: 1 });
    expect(again.stderr).toContain(`${prior}: is there already; choose another --out`);
  });

  it('refuses what it cannot take in one line, and writes nothing', async () => {
    const dir = savedModel();
    writeFileSync(
      join(dir, 'config.json'),
      JSON.stringify({ ...CONFIG, class_embed_type: 'timestep' }, null, 2),
    );
    const out = join(newFolder('refused'), 'prior.safetensors');
    const end = await ballast(['prior', 'import', dir, '--out', out]);
    expect(end.code).toBe(1);
    expect(end.stderr).toMatch(
      /config\.json:\d+: class_embed_type is 'timestep'; only null can be imported\n$/,
    );
    expect(() => readFileSync(out)).toThrow('ENOENT');
  });

  it.each(['normalized', 'prior-features', 'released-x0'])(
    'guides it by a classifier of another size and of grey images, by rule %s',
    async (rule) => {
      const dir = join(newFolder('guided'), 'run');
      const settings = [
        `synthesis.guidance.rule=${rule}`,
        'synthesis.guidance.headSteps=5',
        'synthesis.steps=4',
      ];
      const end = await ballast([
        ...(await runArgs(dir, '--epochs', '1', '--prior', await imported())),
        ...[...settings, 'synthesis.start=noise'].flatMap((setting) => ['--set', setting]),
      ]);
      expect(end.code === 0 ? '' : end.stderr).toBe('');
      expect(JSON.stringify(readReport(dir))).toContain('makes 8×8×3 images');
    },
  );
});

const python = process.env['BALLAST_PEER_PYTHON'] ?? '';
const hasDiffusers = python !== '' && spawnSync(python, ['-c', 'import diffusers']).status === 0;

describe.skipIf(!hasDiffusers)(
  `diffusers${hasDiffusers ? '' : ' (skipped: BALLAST_PEER_PYTHON names no Python with diffusers)'}`,
  () => {
    it('puts out the same for a folder that it saved itself', async () => {
      const dir = newFolder('live');
      mkdirSync(dir, { recursive: true });
      const saved = spawnSync(python, ['test/peer/unet2d_live.py', dir], { encoding: 'utf8' });
      expect(saved.status === 0 ? '' : saved.stderr).toBe('');
      const prior = join(dir, 'prior.safetensors');
      expect(await ballast(['prior', 'import', dir, '--out', prior])).toMatchObject({ code: 0, stderr: '' });
      const { model, params } = decodeModelFile(readFileSync(prior), 'denoiser', prior);
      expect(model).toMatchObject({ prediction: 'v', network: { noise: { schedule: 'squaredcos_cap_v2' } } });
      const { arrays } = decodeSafetensors(await readFile(join(dir, 'answers.safetensors')));
      const { x, steps, output, float32 } = arrays as Required<typeof arrays>;
      const inputs = { x: x!, steps: steps! };
      const run = (given: { params: Record<string, Tensor>; x: Tensor; steps: Tensor }) => ({
        y: unet2d(model.network as UNet2DConfig, given.params, given.x as Tensor4D, given.steps),
      });
      const executable = await compile(run, specOf(inputs), { constants: { params } });
      const { y } = await executable.run(inputs);
      await executable.dispose();
      const scale = Math.hypot(...output!.data) / Math.sqrt(output!.data.length);
      const furthest = (from: ArrayLike<number>) =>
        Math.max(...Array.from(output!.data, (value, i) => Math.abs(from[i]! - value) / scale));
      console.log(
        `furthest from diffusers in float64: ${furthest(y.data).toExponential(1)}; its own float32: ${furthest(float32!.data).toExponential(1)}`,
      );
      expect(furthest(y.data)).toBeLessThan(1e-4);
    });
  },
);
