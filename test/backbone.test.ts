// A ResNet with batch normalisation through whole runs: the paper's recipe for a few steps, with a prior of another size;
// and running statistics through a checkpoint.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parseRunConfig } from '../config/run-config.ts';
import { loadDataset } from '../data/dataset.ts';
import { decodeModelFile } from '../models/model-file.ts';
import { ClassifierTraining } from '../services/classifier-trainer/training.ts';
import { ballast } from './support/cli.ts';
import { newFolder, readReport, shapesData, shapesPrior } from './support/suite.ts';

const NO_IMAGES = { images: new Uint8Array(), labels: new Int32Array(), soft: null };
const nothing = () => undefined;

it('runs the paper’s recipe for a few steps, its prior of 16 px guided by a ResNet-50 of 64 px in colour', async () => {
  const dir = join(newFolder('paper'), 'run');
  const end = await ballast([
    ...['run', '--config', 'examples/ham10000-paper.yaml', '--json', '--out', dir, '--workers', '1'],
    ...['--data', await shapesData(), '--prior', await shapesPrior(), '--image-size', '64', '--epochs', '1'],
    ...['classifier.weights=null', 'synthesis.budget=6', 'synthesis.shardSize=2', 'synthesis.steps=2', 'training.batchSize=32'].flatMap((setting) => ['--set', setting]), // prettier-ignore
  ]);
  expect(end.code === 0 ? '' : end.stderr).toBe('');
  // 54 training images and a budget of 6 in batches of 32
  const { model, params } = decodeModelFile(readFileSync(join(dir, 'model', 'model.safetensors')), 'classifier', dir); // prettier-ignore
  expect(model).toMatchObject({ steps: 2, image: { height: 64, width: 64, channels: 3 } });
  expect(model.network).toMatchObject({
    architecture: 'resnet50',
    normalization: { mean: [0.485, 0.456, 0.406] },
  });
  expect(params['bn1.running_mean']!.data.some((value) => value !== 0)).toBe(true);
  expect(JSON.stringify(readReport(dir))).toContain('makes 16×16×1 images, the data has 64×64×3');
});

it('goes on from a checkpoint to the same bits, running statistics included', async () => {
  const config = parseRunConfig({
    ...{ method: 'erm', data: { source: await shapesData(), imageSize: 32, channels: 3 } },
    classifier: { network: 'resnet18', freeze: ['layer1'], backboneRate: 0.1 },
    ...{
      training: { epochs: 2, batchSize: 32, augmentation: 'resized-crop', colorJitter: 0.2 },
      synthesis: { budget: 0 },
    },
  });
  const dataset = await loadDataset(config.data);
  const whole = await ClassifierTraining.create(config, dataset);
  await whole.trainEpoch(1, NO_IMAGES, nothing);
  const checkpoint = whole.checkpoint();
  const before = whole.params;
  await whole.trainEpoch(2, NO_IMAGES, nothing);
  for (const [name, moves] of [
    ['bn1.running_var', true],
    ['bn1.weight', true],
    ['layer1.0.bn1.running_var', false],
    ['layer1.0.conv1.weight', false],
  ] as const)
    // prettier-ignore
    expect([name, before[name]!.data.some((value, i) => value !== whole.params[name]!.data[i])]).toEqual([name, moves]);
  const resumed = await ClassifierTraining.create(config, dataset);
  await resumed.restore(checkpoint, 'checkpoint');
  await resumed.trainEpoch(2, NO_IMAGES, nothing);
  expect(resumed.exportModel().digest).toBe(whole.exportModel().digest);
});
