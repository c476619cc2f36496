/**
 * `npm run bench -- fidelity`: measures how faithful, new and realistic synthetic images are, for each generation
 * method (fidelity-settings.ts) with one prior and one classifier. Copying alone can achieve fidelity, so the table
 * also has other measures (fidelity-measures.ts), the augmented anchors, and fresh real images. All are measured
 * against real images on which nothing was trained: development images, otherwise validation images, never test images.
 */
import { parseArgs } from 'node:util';
import { readFile } from 'node:fs/promises';
import { writeFileAtomic } from '../common/files.ts';
import { UserError } from '../common/errors.ts';
import { dataConfigSchema } from '../config/data-config.ts';
import { loadConfigFile } from '../config/load.ts';
import { synthesisConfigSchema } from '../config/synthesis-config.ts';
import type { SynthesisConfig } from '../config/synthesis-config.ts';
import { loadDataset } from '../data/dataset.ts';
import type { Dataset } from '../data/dataset.ts';
import { augment } from '../data/augment.ts';
import { preprocess } from '../data/preprocess.ts';
import { parseStrict } from '../config/validation.ts';
import { encodeAnchors } from '../models/anchors-file.ts';
import { classStatistics } from '../models/lda.ts';
import { readModelFile } from '../models/model-file.ts';
import { softmaxRows } from '../models/metrics.ts';
import { decimal, percent } from '../report/format.ts';
import { pngGrid } from '../report/pictures/png-grid.ts';
import { anchorsOfSize } from '../services/classifier-trainer/anchors.ts';
import { trainHead } from '../services/classifier-trainer/head-training.ts';
import { Predictor } from '../services/classifier-trainer/predictor.ts';
import { Synthesizer } from '../services/diffusion-worker/synthesizer.ts';
import { foldIn, integers, keyFromSeed } from '../tensor/random.ts';
import { Judge } from './feature-judge.ts';
import { inMemory, pickImages, Reference } from './fidelity-measures.ts';
import type { Batch, Measures } from './fidelity-measures.ts';
import { FIDELITY_SETTINGS } from './fidelity-settings.ts';
import type { FidelitySetting } from './fidelity-settings.ts';

const SHARD_SIZE = 32;
const HEAD_STEPS = 450;
const CHOICE = { engine: 'onnxruntime', device: 'cpu' as const, threads: 1 };
const COLUMNS = ['all', 'tail', 'distance', 'coverage', 'Fréchet', 'precision', 'recall'] as const;

/** The common inputs of the settings. */
interface Studio {
  readonly dataset: Dataset;
  readonly perClass: number;
  /** Files by name: `prior`, `anchors`, and the guides: `classifier`, `noise-aware`, `head`. */
  readonly files: ReadonlyMap<string, Uint8Array>;
}

type Row = Measures & { readonly name: string };

/** The command. */
export async function fidelity(args: readonly string[]): Promise<void> {
  const flags = readFlags(args);
  const source = await loadConfigFile(flags.config);
  const config = parseStrict(dataConfigSchema, source.values['data'], source.locate);
  const dataset = await loadDataset(config);
  const judge = new Judge(await readModelFile(flags.judge, 'classifier'));
  const real = unseenImages(dataset);
  const judgeAccuracy = await accuracyOf(judge, real);
  const say = (line: string) => {
    if (!flags.json) console.log(line);
  };
  say(`judge: ${percent(judgeAccuracy)} right on ${real.labels.length} real images not trained on`);
  const studio = await openStudio(dataset, flags);
  const [unseen, fresh] = halves(real);
  const reference = await Reference.open(dataset, unseen, judge, config.tailBelow);
  const rows: Row[] = [];
  const add = async (name: string, batch: Batch) => {
    rows.push({ name, ...(await reference.measure(batch)) });
    say(tableRow(rows.at(-1)!));
    if (flags.grids !== undefined) await writeGrid(`${flags.grids}/${slug(name)}.png`, batch, dataset);
  };
  say(`| images | ${COLUMNS.join(' | ')} |\n| --- | ${COLUMNS.map(() => '--:').join(' | ')} |`);
  await add('fresh real images', atMost(fresh, flags.perClass));
  warnOfFewImages(rows[0]!, flags.perClass);
  for (const setting of FIDELITY_SETTINGS) {
    if (!setting.name.includes(flags.only) && setting.synthesis !== null) continue;
    if (setting.noiseAware && flags.noiseAware === undefined)
      console.error(`left out: ${setting.name} (name --noise-aware MODEL)`);
    else await add(setting.name, await makeImages(setting, studio));
  }
  for (const measure of ['coverage', 'frechet'] as const) say(classTable(measure, dataset.classes, rows));
  if (flags.json) console.log(JSON.stringify({ name: 'fidelity', judgeAccuracy, results: rows }));
}

function readFlags(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      config: { type: 'string', default: 'examples/demo.yaml' },
      prior: { type: 'string' },
      judge: { type: 'string' },
      classifier: { type: 'string' },
      'noise-aware': { type: 'string' },
      'per-class': { type: 'string', default: '64' },
      'head-steps': { type: 'string', default: String(HEAD_STEPS) },
      only: { type: 'string', default: '' },
      grids: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  const { prior, judge, classifier } = values;
  if (prior === undefined || judge === undefined || classifier === undefined)
    throw new UserError('fidelity: name --prior, --judge and --classifier (model files)');
  return {
    ...values,
    ...{ prior, judge, classifier, noiseAware: values['noise-aware'] },
    perClass: wholeNumber('per-class', values['per-class']),
    headSteps: wholeNumber('head-steps', values['head-steps']),
  };
}

function warnOfFewImages({ perClass }: Row, wanted: number): void {
  const fewest = Math.min(...perClass.map(({ images }) => images));
  if (fewest >= wanted) return;
  const message = `a class has ${fewest} fresh real images, fewer than the ${wanted} of each other set`;
  console.error(`fidelity: ${message}`);
}

function wholeNumber(flag: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new UserError(`fidelity: --${flag} is '${text}'; it must be a whole number of at least 1`);
}

/** Test images are not for choosing. */
function unseenImages({ development, validation }: Dataset): Batch {
  const real = development ?? validation;
  if (real === null)
    throw new UserError(
      'fidelity: the data has neither development nor validation images, and test is not for choosing; ' +
        'configure data.development with data.evaluation development, or data.validation',
    );
  return inMemory(real);
}

/** The first images of each class. */
function atMost(batch: Batch, perClass: number): Batch {
  const seen = new Map<number, number>();
  return pickImages(batch, (label) => {
    const times = (seen.get(label) ?? 0) + 1;
    seen.set(label, times);
    return times <= perClass;
  });
}

/** Every other image of each class. */
function halves(batch: Batch): [Batch, Batch] {
  const seen = new Map<number, number>();
  const half = Array.from(batch.labels, (label) => {
    const times = seen.get(label) ?? 0;
    seen.set(label, times + 1);
    return times % 2;
  });
  const part = (wanted: number) => pickImages(batch, (_label, i) => half[i] === wanted);
  return [part(0), part(1)];
}

async function accuracyOf(judge: Judge, { images, labels }: Batch): Promise<number> {
  const given = await judge.classes(images);
  return given.filter((label, i) => label === labels[i]).length / labels.length;
}

/** Loads what the settings need; trains the head on the prior's features here, after the classifier. */
async function openStudio(
  dataset: Dataset,
  { perClass, headSteps, ...paths }: ReturnType<typeof readFlags>,
): Promise<Studio> {
  const { train, classes } = dataset;
  const files = new Map<string, Uint8Array>();
  const prior = await readModelFile(paths.prior, 'denoiser');
  const { image } = prior.model;
  const images = anchorsOfSize(train.images, [...train.labels.keys()], dataset, image);
  const pixels = preprocess(images, train.labels.length, image.height, image.width, image.channels);
  const statistics = classStatistics(pixels, train.labels, classes.length, image);
  files.set('prior', await readFile(paths.prior));
  files.set('classifier', await readFile(paths.classifier));
  files.set('anchors', encodeAnchors({ images, statistics }, image));
  if (paths.noiseAware !== undefined) files.set('noise-aware', await readFile(paths.noiseAware));
  const { model, params } = await readModelFile(paths.classifier, 'classifier');
  const logits = await new Predictor(model, CHOICE).logits(params, train.images);
  const head = await trainHead({
    ...{ dataset, choice: CHOICE, steps: headSteps, key: keyFromSeed(0), classifierSteps: model.steps },
    prior,
    probabilities: Float32Array.from(softmaxRows({ values: logits, columns: classes.length }).values),
  });
  files.set('head', head);
  return { dataset, perClass, files };
}

/** `perClass` images of every class by one setting; the anchors and the noise are the same for all settings. */
async function makeImages(
  { synthesis, noiseAware }: FidelitySetting,
  { dataset, perClass, files }: Studio,
): Promise<Batch> {
  const items = planItems(dataset, perClass);
  const labels = Int32Array.from(items, (item) => item.classIndex);
  if (synthesis === null) return { images: augmentedAnchors(items, dataset), labels };
  const config: SynthesisConfig = synthesisConfigSchema.parse({ ...synthesis, shardSize: SHARD_SIZE });
  const clean = noiseAware ? 'noise-aware' : 'classifier';
  const weights = config.guidance.rule === 'prior-features' ? 'head' : clean;
  const synthesizer = new Synthesizer();
  for (const name of ['prior', 'anchors', weights]) synthesizer.load(name, files.get(name)!);
  const parts: Uint8Array[] = [];
  for (let from = 0; from < items.length; from += SHARD_SIZE) {
    const shard = items
      .slice(from, from + SHARD_SIZE)
      .map((item) => (config.start === 'noise' ? { ...item, anchorIndex: -1 } : item));
    const names = { prior: 'prior', anchors: 'anchors', weights };
    const job = { runSeed: 0, items: shard, synthesis: config, ...CHOICE, ...names };
    parts.push((await synthesizer.synthesize(job, () => undefined)).images);
  }
  return { images: Buffer.concat(parts), labels };
}

type Item = ReturnType<typeof planItems>[number];

/** The items' anchors, flipped and shifted. */
function augmentedAnchors(items: readonly Item[], { height, width, channels, train }: Dataset): Uint8Array {
  const size = height * width * channels;
  const images = new Uint8Array(items.length * size);
  items.forEach(({ imageId, anchorIndex }, i) => {
    const anchor = train.images.subarray(anchorIndex * size, (anchorIndex + 1) * size);
    const key = foldIn(keyFromSeed(0), 'anchor-augment', imageId);
    images.set(augment(anchor, height, width, channels, key), i * size);
  });
  return images;
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

async function writeGrid(
  path: string,
  { images, labels }: Batch,
  { classes, height, width, channels }: Dataset,
) {
  const rows = classes.map((_, label) => [...labels.keys()].filter((i) => labels[i] === label).slice(0, 12));
  await writeFileAtomic(path, await pngGrid({ images, height, width, channels, rows, rowLabels: classes }));
}

function tableRow(row: Row): string {
  const { name, all, tail, distance, coverage, frechet, precision, recall } = row;
  const numbers = [percent(all), percent(tail), distance.toFixed(3), percent(coverage), decimal(frechet, 2)];
  return `| ${[name, ...numbers, percent(precision), percent(recall)].join(' | ')} |`;
}

/** One measure per class, for every generation method; a separate column for each class that has it. */
function classTable(
  measure: 'coverage' | 'frechet',
  classes: readonly string[],
  rows: readonly Row[],
): string {
  const isKnown = (label: number) => rows.some(({ perClass }) => perClass[label]![measure] !== null);
  const shown = [...classes.keys()].filter(isKnown);
  const text = (value: number | null) => (measure === 'coverage' ? percent(value) : decimal(value, 2));
  const lines = rows.map(({ name, perClass }) => [
    name,
    ...shown.map((label) => text(perClass[label]![measure])),
  ]);
  const head = [`${measure} by class`, ...shown.map((label) => classes[label]!)];
  const table = [head, ['---', ...shown.map(() => '--:')], ...lines];
  return `\n${table.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}`;
}

function slug(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
}
