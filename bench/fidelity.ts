/**
 * `npm run bench -- fidelity`: how many synthetic images show their intended class, by an independent judge, for several
 * ways to make them with one prior and one classifier. Fidelity alone can be had by copying, so beside it stand the
 * distance to the nearest training image and the coverage of real test images.
 *
 *   distance   mean over synthetic images of the smallest root-mean-square pixel difference to a training image, [0, 2]
 *   coverage   share of real test images whose ball to their 5th nearest real neighbour holds a synthetic image
 *              (Naeem et al. 2002.09797, in pixels)
 */
import { parseArgs } from 'node:util';
import { writeFileAtomic } from '../common/files.ts';
import { UserError } from '../common/errors.ts';
import { dataConfigSchema } from '../config/data-config.ts';
import { loadConfigFile } from '../config/load.ts';
import { synthesisConfigSchema } from '../config/synthesis-config.ts';
import type { SynthesisConfig } from '../config/synthesis-config.ts';
import { loadDataset } from '../data/dataset.ts';
import type { Dataset } from '../data/dataset.ts';
import { augment } from '../data/augment.ts';
import { parseStrict } from '../config/validation.ts';
import { readModelFile } from '../models/model-file.ts';
import { pngGrid } from '../report/png-grid.ts';
import { Predictor } from '../services/classifier-trainer/predictor.ts';
import { classCounts } from '../services/classifier-trainer/epoch-order.ts';
import { Synthesizer } from '../services/diffusion-worker/synthesizer.ts';
import { foldIn, integers, keyFromSeed } from '../tensor/random.ts';
import { encodeSafetensors } from '../tensor/safetensors.ts';
import { readFile } from 'node:fs/promises';
import { coverage, nearestDistances } from './neighbours.ts';

const SHARD_SIZE = 32;
const TAIL_BELOW = 200;
const TEST_IMAGES = 1000;

interface Setting {
  readonly name: string;
  /** Null: the anchors themselves, augmented, no diffusion at all. */
  readonly synthesis: object | null;
  /** Guided by the classifier that was also trained on noised images. */
  readonly noiseAware?: boolean;
}

const fromNoise = (guidance: object) => ({ start: 'noise', steps: 12, guidance });
const anchored = (startTime: number, guidance: object) => ({
  start: 'anchored',
  startTime,
  steps: 10,
  guidance,
});
const normalized = (scale: number, rest: object = {}) => ({ rule: 'normalized', scale, ...rest });
const released = (scale: number) => ({
  rule: 'released-noisy',
  scale,
  schedule: 'constant',
  softening: [1, 1],
});

const SETTINGS: readonly Setting[] = [
  { name: 'noise: unguided', synthesis: fromNoise({ rule: 'none' }) },
  { name: 'noise: released, gradient at noisy x_t, scale 1', synthesis: fromNoise(released(1)) },
  { name: 'noise: released, scale 8', synthesis: fromNoise(released(8)) },
  { name: 'noise: detached x0, 0.08', synthesis: fromNoise(normalized(0.08)) },
  {
    name: 'noise: detached x0, 0.25, plain logits',
    synthesis: fromNoise(normalized(0.25, { softening: [1, 1] })),
  },
  { name: 'noise: detached x0, 0.25, softened logits', synthesis: fromNoise(normalized(0.25)) },
  {
    name: 'noise: detached x0, 0.6, noise-aware classifier',
    synthesis: fromNoise(normalized(0.6)),
    noiseAware: true,
  },
  { name: 'anchored t 0.75: unguided', synthesis: anchored(0.75, { rule: 'none' }) },
  { name: 'anchored t 0.75: detached x0, 0.25', synthesis: anchored(0.75, normalized(0.25)) },
  { name: 'anchored t 0.6: unguided', synthesis: anchored(0.6, { rule: 'none' }) },
  { name: 'anchored t 0.6: detached x0, 0.25 (default)', synthesis: anchored(0.6, normalized(0.25)) },
  { name: 'the anchors themselves, augmented', synthesis: null },
];

export interface FidelityRow {
  readonly name: string;
  readonly images: number;
  readonly all: number;
  readonly tail: number;
  readonly distance: number;
  readonly coverage: number;
}

interface Batch {
  readonly images: Uint8Array;
  readonly labels: Int32Array;
}

/** The command. */
export async function fidelity(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      config: { type: 'string', default: 'examples/demo.yaml' },
      prior: { type: 'string' },
      judge: { type: 'string' },
      classifier: { type: 'string' },
      'noise-aware': { type: 'string' },
      'per-class': { type: 'string', default: '64' },
      grids: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  const { prior, judge, classifier } = values;
  if (prior === undefined || judge === undefined || classifier === undefined)
    throw new UserError('fidelity: name --prior, --judge and --classifier (model files)');
  const source = await loadConfigFile(values.config);
  const dataset = await loadDataset(parseStrict(dataConfigSchema, source.values['data'], source.locate));
  const judging = await openJudge(judge, dataset);
  if (!values.json)
    console.log(`judge: ${percent(judging.accuracy)} right on ${judging.testCount} real test images`);
  const rows: FidelityRow[] = [];
  for (const setting of SETTINGS) {
    const weights = setting.noiseAware ? values['noise-aware'] : classifier;
    if (weights === undefined) {
      console.error(`left out: ${setting.name} (name --noise-aware MODEL)`);
      continue;
    }
    const batch = await makeImages(setting, dataset, prior, weights, Number(values['per-class']));
    rows.push(await measure(setting.name, batch, dataset, judging.classes));
    if (!values.json) console.log(tableRow(rows.at(-1)!));
    if (values.grids !== undefined)
      await writeGrid(`${values.grids}/${slug(setting.name)}.png`, batch, dataset);
  }
  if (values.json)
    console.log(JSON.stringify({ name: 'fidelity', judgeAccuracy: judging.accuracy, results: rows }));
}

async function openJudge(path: string, dataset: Dataset) {
  const { model, params } = await readModelFile(path, 'classifier');
  const predictor = new Predictor(model, { engine: 'onnxruntime', threads: 1 });
  if (dataset.test === null)
    throw new UserError('fidelity: the data has no test images to prove the judge on');
  const given = await predictor.classes(params, dataset.test.images);
  const right = given.filter((label, i) => label === dataset.test!.labels[i]).length;
  return {
    classes: (images: Uint8Array) => predictor.classes(params, images),
    accuracy: right / given.length,
    testCount: given.length,
  };
}

/** `perClass` images of every class by one setting; the anchors and the noise are the same for all settings. */
async function makeImages(
  { synthesis }: Setting,
  dataset: Dataset,
  priorPath: string,
  weightsPath: string,
  perClass: number,
): Promise<Batch> {
  const items = planItems(dataset, perClass);
  const labels = Int32Array.from(items, (item) => item.classIndex);
  const { height, width, channels, train } = dataset;
  const size = height * width * channels;
  if (synthesis === null) {
    const images = new Uint8Array(items.length * size);
    items.forEach(({ imageId, anchorIndex }, i) => {
      const anchor = train.images.subarray(anchorIndex * size, (anchorIndex + 1) * size);
      images.set(
        augment(anchor, height, width, channels, foldIn(keyFromSeed(0), 'anchor-augment', imageId)),
        i * size,
      );
    });
    return { images, labels };
  }
  const config: SynthesisConfig = synthesisConfigSchema.parse({ ...synthesis, shardSize: SHARD_SIZE });
  const synthesizer = new Synthesizer();
  synthesizer.load('prior', await readFile(priorPath));
  synthesizer.load('weights', await readFile(weightsPath));
  const shape = [train.labels.length, height, width, channels];
  synthesizer.load('anchors', encodeSafetensors({ images: { dtype: 'uint8', shape, data: train.images } }));
  const parts: Uint8Array[] = [];
  for (let from = 0; from < items.length; from += SHARD_SIZE) {
    const shard = items
      .slice(from, from + SHARD_SIZE)
      .map((item) => (config.start === 'noise' ? { ...item, anchorIndex: -1 } : item));
    const job = {
      ...{ runSeed: 0, items: shard, synthesis: config, engine: 'onnxruntime', threads: 1 },
      ...{ prior: 'prior', weights: 'weights', anchors: config.start === 'noise' ? null : 'anchors' },
    };
    parts.push((await synthesizer.synthesize(job, () => undefined)).images);
  }
  return { images: Buffer.concat(parts), labels };
}

function planItems({ train, classes }: Dataset, perClass: number) {
  return classes.flatMap((_, classIndex) => {
    const members = [...train.labels.keys()].filter((i) => train.labels[i] === classIndex);
    const drawn = integers(foldIn(keyFromSeed(0), 'anchors', classIndex), perClass, members.length);
    return Array.from(drawn, (member, i) => ({
      imageId: classIndex * perClass + i,
      classIndex,
      anchorIndex: members[member]!,
    }));
  });
}

async function measure(
  name: string,
  { images, labels }: Batch,
  dataset: Dataset,
  judge: (images: Uint8Array) => Promise<Int32Array>,
): Promise<FidelityRow> {
  const given = await judge(images);
  const counts = classCounts(dataset.train.labels, dataset.classes.length);
  const isTail = (label: number) => counts[label]! < TAIL_BELOW;
  const share = (keep: (label: number) => boolean) => {
    const own = [...labels.keys()].filter((i) => keep(labels[i]!));
    return own.filter((i) => given[i] === labels[i]).length / own.length;
  };
  const size = dataset.height * dataset.width * dataset.channels;
  const distances = nearestDistances(images, dataset.train.images, size);
  const real = dataset.test!.images.subarray(0, TEST_IMAGES * size);
  return {
    name,
    images: labels.length,
    all: share(() => true),
    tail: share(isTail),
    distance: distances.reduce((sum, d) => sum + d, 0) / distances.length,
    coverage: coverage(real, images, size),
  };
}

async function writeGrid(
  path: string,
  { images, labels }: Batch,
  { classes, height, width, channels }: Dataset,
) {
  const rows = classes.map((_, label) => [...labels.keys()].filter((i) => labels[i] === label).slice(0, 12));
  await writeFileAtomic(path, await pngGrid({ images, height, width, channels, rows, rowLabels: classes }));
}

function tableRow({ name, all, tail, distance, coverage: covered }: FidelityRow): string {
  return `| ${name} | ${percent(all)} | ${percent(tail)} | ${distance.toFixed(3)} | ${percent(covered)} |`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)}%`;
}

function slug(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
}
