/** An independent classifier that judges images: its predictions, and the features behind them. */
import { preprocess } from '../data/preprocess.ts';
import { classifierFeatures, featureCount } from '../models/classifier.ts';
import type { ClassifierModel, LoadedModel } from '../models/model-file.ts';
import { Predictor } from '../services/classifier-trainer/predictor.ts';
import { compile } from '../tensor/compile.ts';
import type { Features } from './feature-distances.ts';

const BATCH = 128;
const CHOICE = { engine: 'onnxruntime', device: 'cpu' as const, threads: 1 };

export class Judge {
  readonly #model: LoadedModel<ClassifierModel>;
  readonly #predictor: Predictor;
  #forward: ReturnType<typeof compileFeatures> | undefined;

  constructor(model: LoadedModel<ClassifierModel>) {
    this.#model = model;
    this.#predictor = new Predictor(model.model, CHOICE);
  }

  classes(images: Uint8Array): Promise<Int32Array> {
    return this.#predictor.classes(this.#model.params, images);
  }

  /** Features of images [n, h, w, c]: row-major [n, width of the last stage]. */
  async features(images: Uint8Array): Promise<Features> {
    const { image, network } = this.#model.model;
    const { height, width, channels } = image;
    const size = height * width * channels;
    const columns = featureCount(network);
    const count = images.length / size;
    const shape = shapeOf(this.#model);
    const forward = await (this.#forward ??= compileFeatures(this.#model));
    const values = new Float32Array(count * columns);
    for (let from = 0; from < count; from += BATCH) {
      const n = Math.min(BATCH, count - from);
      const data = new Float32Array(BATCH * size);
      data.set(preprocess(images.subarray(from * size, (from + n) * size), n, height, width, channels));
      const { features } = await forward.run({ images: { dtype: 'float32', shape, data } });
      values.set((features.data as Float32Array).subarray(0, n * columns), from * columns);
    }
    return { values, columns };
  }
}

function shapeOf({ model }: LoadedModel<ClassifierModel>): number[] {
  const { height, width, channels } = model.image;
  return [BATCH, channels, height, width];
}

function compileFeatures(loaded: LoadedModel<ClassifierModel>) {
  return compile(
    classifierFeatures(loaded.model.network),
    { images: { shape: shapeOf(loaded), dtype: 'float32' } },
    { ...CHOICE, constants: { params: loaded.params } },
  );
}
