/**
 * The labeller of one run: it is trained before the first epoch that needs it, and labels synthetic images, real images
 * and the archive as `training.labels` says. Labels of images that do not change are computed once.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { writeFileAtomic } from '../../common/files.ts';
import type { RunConfig } from '../../config/run-config.ts';
import type { Dataset } from '../../data/dataset.ts';
import type { Images } from '../../data/images.ts';
import { pseudoLabelled } from './examples.ts';
import type { Examples } from './examples.ts';
import { Labeller } from './labeller.ts';
import type { EpochExtras } from './epoch-plan.ts';
import type { Preparation } from '../../report/records.ts';

export interface EpochLabels {
  /** Probabilities [n, k] of the synthetic images; null if they keep their intended class. */
  readonly synthetic: Float32Array | null;
  readonly extras: EpochExtras;
}

export class SoftLabels {
  readonly #config: RunConfig;
  readonly #dataset: Dataset;
  #labeller: Labeller | undefined;
  #archive: Examples | undefined;
  /** Labels of the most recently labelled synthetic images. */
  #made: { readonly imagesEpoch: number; readonly soft: Float32Array } | undefined;

  constructor(config: RunConfig, dataset: Dataset) {
    this.#config = config;
    this.#dataset = dataset;
  }

  /** From a checkpoint; one written before the labeller was trained has no such file. */
  async restore(path: string): Promise<void> {
    if (existsSync(path)) this.#labeller = Labeller.decode(await readFile(path), path, this.#config);
  }

  async save(path: string): Promise<void> {
    if (this.#labeller) await writeFileAtomic(path, this.#labeller.encode());
  }

  /** Labels for an epoch on the images that `imagesEpoch` made; 0 for none. `onPreparation` is called often, and may throw to cancel. */
  async forEpoch(
    imagesEpoch: number,
    { images }: { readonly images: Images },
    onPreparation: (preparation: Preparation) => void,
  ): Promise<EpochLabels> {
    const { labels } = this.#config.training;
    const labeller = (this.#labeller ??= await this.#train(onPreparation));
    if (labels.archive !== 'none') this.#archive ??= await this.#labelArchive(labeller);
    return {
      synthetic:
        labels.synthetic === 'soft' ? await this.#labelSynthetic(labeller, imagesEpoch, images) : null,
      extras: {
        ...(this.#archive ? { archive: this.#archive } : {}),
        ...(labels.real === 'soft' ? { relabel: (pixels: Uint8Array) => labeller.label(pixels) } : {}),
      },
    };
  }

  #train(onPreparation: (preparation: Preparation) => void): Promise<Labeller> {
    const { members, steps } = this.#config.training.labeller;
    const startMs = performance.now();
    return Labeller.train(this.#config, this.#dataset, (done) => {
      const seconds = (performance.now() - startMs) / 1000;
      onPreparation({ activity: 'labelling', done, total: members * steps, seconds });
    });
  }

  async #labelSynthetic(labeller: Labeller, imagesEpoch: number, images: Images): Promise<Float32Array> {
    if (this.#made?.imagesEpoch !== imagesEpoch)
      this.#made = { imagesEpoch, soft: await labeller.label(images) };
    return this.#made.soft;
  }

  async #labelArchive(labeller: Labeller): Promise<Examples> {
    const { archive, threshold } = this.#config.training.labels;
    const { images } = this.#dataset.archive ?? { images: new Uint8Array() };
    const probabilities = await labeller.label(images);
    const classes = this.#dataset.classes.length;
    return pseudoLabelled(images, probabilities, classes, archive === 'confident' ? threshold : null);
  }
}
