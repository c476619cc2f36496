/** Runs a classifier over whole image sets, each image exactly once, and measures it. */
import type { DeviceName } from '../../common/engine-names.ts';
import type { Images } from '../../data/images.ts';
import { preprocess } from '../../data/preprocess.ts';
import { classifierForward } from '../../models/classifier.ts';
import { argmaxRows } from '../../models/metrics.ts';
import type { ClassifierModel } from '../../models/model-file.ts';
import type { ArrayMap } from '../../tensor/array.ts';
import { compile } from '../../tensor/compile.ts';

/** Images of one graph run; the last batch is padded. */
const BATCH = 128;

export interface EngineChoice {
  readonly engine: string;
  readonly device: DeviceName;
  readonly threads: number;
}

type Forward = (images: Float32Array) => Promise<Float32Array>;

export class Predictor {
  readonly #model: ClassifierModel;
  readonly #choice: EngineChoice;
  #compiled: { readonly params: ArrayMap; readonly forward: Forward; dispose(): Promise<void> } | undefined;

  constructor(model: ClassifierModel, choice: EngineChoice) {
    this.#model = model;
    this.#choice = choice;
  }

  /** The forward pass with these parameters built in; it saves more time than the compilation takes. */
  async #forward(params: ArrayMap): Promise<Forward> {
    if (this.#compiled?.params === params) return this.#compiled.forward;
    await this.#compiled?.dispose();
    const { image, network } = this.#model;
    const shape = [BATCH, image.channels, image.height, image.width];
    const executable = await compile(
      classifierForward(network),
      { images: { shape, dtype: 'float32' } },
      { ...this.#choice, constants: { params } },
    );
    const forward: Forward = async (data) => {
      const { logits } = await executable.run({ images: { dtype: 'float32', shape, data } });
      return logits.data as Float32Array;
    };
    this.#compiled = { params, forward, dispose: () => executable.dispose() };
    return forward;
  }

  /** Logits [n, k], row-major, of [n, h, w, c] bytes. `onBatch` is called between batches and may throw to cancel. */
  async logits(
    params: ArrayMap,
    images: Images,
    onBatch: () => void = () => undefined,
  ): Promise<Float32Array> {
    const { height, width, channels } = this.#model.image;
    const size = height * width * channels;
    const count = images.length / size;
    const classes = this.#model.classes.length;
    const forward = await this.#forward(params);
    const all = new Float32Array(count * classes);
    for (let from = 0; from < count; from += BATCH) {
      onBatch();
      const n = Math.min(BATCH, count - from);
      const batch = new Float32Array(BATCH * size);
      batch.set(preprocess(images.subarray(from * size, (from + n) * size), n, height, width, channels));
      all.set((await forward(batch)).subarray(0, n * classes), from * classes);
    }
    return all;
  }

  /** The most likely class of each image. */
  async classes(params: ArrayMap, images: Images): Promise<Int32Array> {
    const values = await this.logits(params, images);
    return argmaxRows({ values, columns: this.#model.classes.length });
  }
}
