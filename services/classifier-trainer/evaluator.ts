/** Predictions of a classifier in training, and their metrics. The network's values are arguments. */
import type { Dataset, ImageSet } from '../../data/dataset.ts';
import type { Images } from '../../data/images.ts';
import { fitTemperature, scaled } from '../../models/calibration.ts';
import { headOf } from '../../models/classifier.ts';
import { logitAdjustment } from '../../models/losses.ts';
import {
  classificationMetrics,
  expectedCalibrationError,
  negativeLogLikelihood,
  softmaxRows,
} from '../../models/metrics.ts';
import type { ClassificationMetrics, Rows } from '../../models/metrics.ts';
import type { ClassifierModel } from '../../models/model-file.ts';
import type { ArrayMap } from '../../tensor/array.ts';
import { Predictor } from './predictor.ts';
import type { EngineChoice } from './predictor.ts';

/** Metrics after temperature scaling. */
export interface ScaledMetrics {
  readonly temperature?: number;
  readonly eceScaled?: number;
  readonly nllScaled?: number;
}

export interface Evaluated {
  readonly metrics: ClassificationMetrics & ScaledMetrics;
  /** The probabilities behind the metrics. */
  readonly probabilities: Rows;
}

export interface EvaluatorOptions {
  readonly dataset: Dataset;
  readonly model: ClassifierModel;
  readonly choice: EngineChoice;
  /** Training images of each class. */
  readonly counts: readonly number[];
  /** The same sizes, by which the metrics group classes. */
  readonly shotCounts: readonly number[];
  readonly tailBelow: number;
  /** τ of post-hoc logit adjustment; 0 is off. */
  readonly postHocAdjustment: number;
}

export class Evaluator {
  readonly #options: EvaluatorOptions;
  readonly #predictor: Predictor;
  #adjusted: { readonly from: ArrayMap; readonly params: ArrayMap } | undefined;
  #fitted: { readonly params: ArrayMap; readonly temperature: number } | undefined;

  constructor(options: EvaluatorOptions) {
    this.#options = options;
    this.#predictor = new Predictor(options.model, options.choice);
  }

  /**
   * The values used for prediction: post-hoc logit adjustment is part of the head's bias. The object is cached per
   * `params`.
   */
  served(params: ArrayMap): ArrayMap {
    const { postHocAdjustment, counts, model } = this.#options;
    if (postHocAdjustment === 0) return params;
    if (this.#adjusted?.from === params) return this.#adjusted.params;
    const shift = logitAdjustment(counts, postHocAdjustment);
    const name = `${headOf(model.network)}.bias`;
    const bias = params[name]!;
    const data = Float32Array.from(bias.data as Float32Array, (value, c) => value - shift[c]!);
    this.#adjusted = { from: params, params: { ...params, [name]: { ...bias, data } } };
    return this.#adjusted.params;
  }

  /** Metrics on one of the data set's parts. `onBatch` is called between batches and may throw to cancel. */
  async evaluate(params: ArrayMap, set: ImageSet, onBatch?: () => void): Promise<Evaluated> {
    const { shotCounts, tailBelow } = this.#options;
    const logits = await this.#logits(params, set.images, onBatch);
    const probabilities = softmaxRows(logits);
    const plain = classificationMetrics(probabilities, set.labels, shotCounts, tailBelow);
    const temperature = await this.#temperature(params, set, logits, onBatch);
    if (temperature === null) return { metrics: plain, probabilities };
    const calm = softmaxRows(scaled(logits, temperature));
    const eceScaled = expectedCalibrationError(calm, set.labels);
    const nllScaled = negativeLogLikelihood(calm, set.labels);
    return { metrics: { ...plain, temperature, eceScaled, nllScaled }, probabilities };
  }

  /** Probabilities [n, classes] of images [n, h, w, c]. */
  async probabilities(params: ArrayMap, images: Images): Promise<Float32Array> {
    return Float32Array.from(softmaxRows(await this.#logits(params, images)).values);
  }

  async #logits(params: ArrayMap, images: Images, onBatch?: () => void): Promise<Rows> {
    const values = await this.#predictor.logits(this.served(params), images, onBatch);
    return { values, columns: this.#options.model.classes.length };
  }

  /**
   * Temperature from temperature scaling, fitted on the validation images; null for training images, and without
   * validation images.
   */
  async #temperature(
    params: ArrayMap,
    set: ImageSet,
    logits: Rows,
    onBatch?: () => void,
  ): Promise<number | null> {
    const { validation, test, development } = this.#options.dataset;
    if (validation === null || ![validation, test, development].includes(set)) return null;
    if (this.#fitted?.params !== params) {
      const own = set === validation ? logits : await this.#logits(params, validation.images, onBatch);
      this.#fitted = { params, temperature: fitTemperature(own, validation.labels) };
    }
    return this.#fitted.temperature;
  }
}
