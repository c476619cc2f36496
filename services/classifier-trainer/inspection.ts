/**
 * Measures whether an epoch's synthetic images can be distinguished from real ones of their class
 * (models/telling-apart.ts), by the fine structure that guidance stamps on them (models/texture-features.ts). Both
 * sides are augmented as for training.
 */
import { augmentBatch } from '../../data/augment.ts';
import type { Dataset, ImageSet } from '../../data/dataset.ts';
import { classMembers } from '../../data/long-tail.ts';
import { preprocess } from '../../data/preprocess.ts';
import { FEWEST_SOURCES, tellApart } from '../../models/telling-apart.ts';
import type { LabelledRows } from '../../models/telling-apart.ts';
import { TEXTURE_FEATURES, textureFeatures, textureFilters } from '../../models/texture-features.ts';
import { compile } from '../../tensor/compile.ts';
import { foldIn } from '../../tensor/random.ts';
import type { Key } from '../../tensor/random.ts';
import type { EngineChoice } from './predictor.ts';
import type { Examples } from './examples.ts';

/** Images examined per class on each side. */
const LOOKED_AT = 100;

type FeaturesOf = (images: Uint8Array) => Promise<Float32Array>;

/**
 * For each class the share of images, half of them real, that a small classifier assigns to the right side, in [0, 1];
 * null for classes with fewer than ten real or ten synthetic images.
 */
export async function inspectImages(
  dataset: Dataset,
  synthetic: Pick<Examples, 'images' | 'labels'>,
  key: Key,
  choice: EngineChoice,
): Promise<(number | null)[]> {
  const { featuresOf, dispose } = await compileFeatures(dataset, choice);
  const made: ImageSet = { ...synthetic, ids: [], groups: null };
  const shares: (number | null)[] = [];
  const [realOf, madeOf] = [dataset.train, made].map(({ labels }) =>
    classMembers(labels, dataset.classes.length),
  );
  for (const label of dataset.classes.keys()) {
    if (realOf![label]!.length < FEWEST_SOURCES || madeOf![label]!.length < FEWEST_SOURCES) {
      shares.push(null);
      continue;
    }
    const sides: LabelledRows[] = [];
    for (const [name, set] of [
      ['real', dataset.train],
      ['synthetic', made],
    ] as const) {
      const own = (name === 'real' ? realOf : madeOf)![label]!;
      sides.push(await lookAt(set, own, dataset, foldIn(key, name, label), featuresOf));
    }
    shares.push(tellApart(sides[0]!, sides[1]!));
  }
  await dispose();
  return shares;
}

/** Features of up to `LOOKED_AT` augmented copies of a class's images, each image about equally often. */
async function lookAt(
  set: ImageSet,
  own: readonly number[],
  { height, width, channels }: Dataset,
  key: Key,
  featuresOf: FeaturesOf,
): Promise<LabelledRows> {
  const sources = Array.from({ length: LOOKED_AT }, (_, i) => own[i % own.length]!);
  const shape = { height, width, channels };
  const values = await featuresOf(augmentBatch(set, sources, shape, (i) => foldIn(key, i)));
  const rows = sources.map((_, i) => values.subarray(i * TEXTURE_FEATURES, (i + 1) * TEXTURE_FEATURES));
  return { rows, sources };
}

async function compileFeatures({ height, width, channels }: Dataset, choice: EngineChoice) {
  const shape = [LOOKED_AT, channels, height, width];
  const executable = await compile(
    textureFeatures(),
    { images: { shape, dtype: 'float32' } },
    { ...choice, constants: { filters: textureFilters(channels) } },
  );
  const featuresOf: FeaturesOf = async (bytes) => {
    const data = preprocess(bytes, LOOKED_AT, height, width, channels);
    const { features } = await executable.run({ images: { dtype: 'float32', shape, data } });
    return features.data as Float32Array;
  };
  return { featuresOf, dispose: () => executable.dispose() };
}
