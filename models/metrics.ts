/**
 * Quality of a classifier on a split, in plain float64 from probabilities and labels. Averages over classes exclude
 * classes for which a quantity is undefined (recall of a class without images, AUC of one without negatives), as
 * scikit-learn does; precision and F1 of a class that is never predicted count as 0, those of a class without images
 * are excluded.
 */

/** Assignable to the records' `Metrics`. All but `count`, `mcc`, `quadraticKappa`, `nll` and `confusion` lie in [0, 1]; mcc and kappa in [−1, 1]. */
export interface ClassificationMetrics {
  readonly count: number;
  readonly accuracy: number;
  readonly balancedAccuracy: number;
  readonly tailRecall: number | null;
  /** Averaged over classes that have images. */
  readonly worstRecall: number;
  readonly nll: number;
  readonly macroPrecision: number;
  readonly macroF1: number;
  readonly mcc: number;
  readonly aucOvr: number;
  readonly ece: number;
  /** Null for a class without images. */
  readonly perClassRecall: readonly (number | null)[];
  readonly sensitivityAt90: readonly (number | null)[];
  readonly quadraticKappa: number;
  readonly manyShotRecall: number | null;
  readonly mediumShotRecall: number | null;
  readonly fewShotRecall: number | null;
  /** confusion[true][predicted], counts; empty above MOST_DENSE classes, whose counts are in `confusionCells`. */
  readonly confusion: readonly (readonly number[])[];
  /** [true, predicted, count] of the pairs that occur, the most frequent MOST_CELLS of them. */
  readonly confusionCells?: readonly ConfusionCell[];
}

export type ConfusionCell = readonly [truth: number, predicted: number, images: number];

/**
 * Largest number of classes whose matrix is written in full: for 10,000 classes it has a hundred million counts, almost
 * all of them 0.
 */
const MOST_DENSE = 100;
/** About a megabyte as JSON. */
const MOST_CELLS = 60_000;

/** Counts of predictions by true class, from which all hit-based measures are computed. */
export interface Tally {
  /** Images of each class. */
  readonly actual: Float64Array;
  /** Images predicted as each class. */
  readonly predicted: Float64Array;
  /** Images of each class that were predicted correctly. */
  readonly hits: Float64Array;
  /** Pairs that occur, by true class, then by predicted class. */
  readonly cells: readonly ConfusionCell[];
}

/** A matrix [n, k] of numbers, row-major. */
export interface Rows {
  readonly values: ArrayLike<number>;
  readonly columns: number;
}

/**
 * All metrics of `probabilities` [n, k] for `labels` [n] in 0 … k − 1. `trainCounts` [k] are the training images of
 * each class, which decide whether it is many-, medium- or few-shot, and whether it belongs to the tail (below
 * `tailBelow`). Throws RangeError when sizes or labels do not match.
 */
export function classificationMetrics(
  probabilities: Rows,
  labels: ArrayLike<number>,
  trainCounts: readonly number[],
  tailBelow: number,
): ClassificationMetrics {
  requireFit(probabilities, labels, trainCounts);
  const predicted = argmaxRows(probabilities);
  const tally = tallyOf(labels, predicted, probabilities.columns);
  const recall = recalls(tally);
  const { aucOvr, sensitivityAt90 } = rankMeasures(probabilities, labels, 0.9);
  return {
    count: labels.length,
    accuracy: ratio(sum(tally.hits), labels.length),
    balancedAccuracy: mean(recall.filter((r) => r !== null)) ?? 0,
    tailRecall: mean(recall.filter((r, c) => r !== null && trainCounts[c]! < tailBelow) as number[]),
    worstRecall: recall.reduce<number>((least, r) => Math.min(least, r ?? 1), 1),
    nll: negativeLogLikelihood(probabilities, labels),
    macroPrecision: mean(precisions(tally).filter((_, c) => recall[c] !== null)) ?? 0,
    macroF1: mean(f1Scores(tally).filter((_, c) => recall[c] !== null)) ?? 0,
    mcc: matthewsCorrelation(tally),
    aucOvr: aucOvr ?? 0.5,
    ece: expectedCalibrationError(probabilities, labels),
    perClassRecall: recall,
    sensitivityAt90,
    quadraticKappa: quadraticKappa(tally),
    ...shotRecalls(recall, trainCounts),
    ...shownConfusion(tally),
  };
}

/** softmax of each row of logits, float64. */
export function softmaxRows({ values, columns }: Rows): Rows {
  const result = new Float64Array(values.length);
  for (let start = 0; start < values.length; start += columns) {
    let largest = -Infinity;
    for (let c = 0; c < columns; c++) largest = Math.max(largest, values[start + c]!);
    let total = 0;
    for (let c = 0; c < columns; c++) total += result[start + c] = Math.exp(values[start + c]! - largest);
    for (let c = 0; c < columns; c++) result[start + c]! /= total;
  }
  return { values: result, columns };
}

/** Column of each row's largest value; the first of equals. */
export function argmaxRows({ values, columns }: Rows): Int32Array {
  return Int32Array.from({ length: values.length / columns }, (_, row) => {
    let best = 0;
    for (let c = 1; c < columns; c++)
      if (values[row * columns + c]! > values[row * columns + best]!) best = c;
    return best;
  });
}

/**
 * Counts of `labels` and `predicted`, both in 0 … classes − 1. Its memory grows with the pairs that occur, not with
 * classes².
 */
export function tallyOf(labels: ArrayLike<number>, predicted: ArrayLike<number>, classes: number): Tally {
  const [actual, given, hits] = Array.from({ length: 3 }, () => new Float64Array(classes)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const pairs = new Map<number, number>();
  for (let i = 0; i < labels.length; i++) {
    const [truth, guess] = [labels[i]!, predicted[i]!];
    actual[truth]!++;
    given[guess]!++;
    if (truth === guess) hits[truth]!++;
    const pair = truth * classes + guess;
    pairs.set(pair, (pairs.get(pair) ?? 0) + 1);
  }
  const cells = [...pairs].sort(([a], [b]) => a - b);
  return {
    ...{ actual, predicted: given, hits },
    cells: cells.map(([pair, images]) => [Math.floor(pair / classes), pair % classes, images]),
  };
}

function shownConfusion({
  actual,
  cells,
}: Tally): Pick<ClassificationMetrics, 'confusion' | 'confusionCells'> {
  const classes = actual.length;
  if (classes > MOST_DENSE) {
    const frequent = cells.length > MOST_CELLS ? [...cells].sort((a, b) => b[2] - a[2]) : cells;
    return { confusion: [], confusionCells: frequent.slice(0, MOST_CELLS) };
  }
  const confusion = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (const [truth, predicted, images] of cells) confusion[truth]![predicted] = images;
  return { confusion };
}

/** Mean of −ln p(label), in nats; probabilities below 1e-12 count as 1e-12. 0 without images. */
export function negativeLogLikelihood({ values, columns }: Rows, labels: ArrayLike<number>): number {
  const logs = Array.from(labels, (label, row) => -Math.log(Math.max(values[row * columns + label]!, 1e-12)));
  return mean(logs) ?? 0;
}

/** Share of each class's images that were predicted correctly; null for a class without images. */
export function recalls({ actual, hits }: Tally): (number | null)[] {
  return Array.from(actual, (images, c) => (images === 0 ? null : hits[c]! / images));
}

function precisions({ predicted, hits }: Tally): number[] {
  return Array.from(predicted, (images, c) => ratio(hits[c]!, images));
}

/** 2·hits / (images of the class + predictions of it); 0 where both are 0. */
function f1Scores({ actual, predicted, hits }: Tally): number[] {
  return Array.from(actual, (images, c) => ratio(2 * hits[c]!, images + predicted[c]!));
}

/** Matthews correlation of several classes (Gorodkin 2004); 0 where labels or predictions are all one class. */
export function matthewsCorrelation({ actual, predicted, hits }: Tally): number {
  const n = sum(actual);
  const dot = (a: Float64Array, b: Float64Array) => a.reduce((total, value, i) => total + value * b[i]!, 0);
  const covariance = sum(hits) * n - dot(actual, predicted);
  const spread = Math.sqrt(n * n - dot(predicted, predicted)) * Math.sqrt(n * n - dot(actual, actual));
  return ratio(covariance, spread);
}

/**
 * Ranking measures of each class's probability, of its own images against all others; null without images on either side:
 * the area under the ROC curve, and the largest share of its images above a threshold while at least `specificity` of
 * the others stay below. For a class of P images among n this takes O(n log P).
 */
export function rankMeasures(
  { values, columns }: Rows,
  labels: ArrayLike<number>,
  specificity: number,
): { aucOvr: number | null; areas: (number | null)[]; sensitivityAt90: (number | null)[] } {
  const members = Array.from({ length: columns }, (): number[] => []);
  for (let row = 0; row < labels.length; row++) members[labels[row]!]!.push(row);
  const areas: (number | null)[] = [];
  const sensitivityAt90: (number | null)[] = [];
  members.forEach((rows, label) => {
    const own = Float64Array.from(rows, (row) => values[row * columns + label]!).sort();
    const others = labels.length - own.length;
    const counts =
      own.length === 0 || others === 0 ? null : countOthers({ values, columns }, labels, label, own);
    areas.push(counts && counts.won / (own.length * others));
    // Images strictly above the threshold are assigned to the class, up to the allowed number of others.
    const allowed = Math.floor((1 - specificity) * others + 1e-9);
    sensitivityAt90.push(counts && counts.atLeast.filter((above) => above <= allowed).length / own.length);
  });
  return { aucOvr: mean(areas.filter((area) => area !== null)), areas, sensitivityAt90 };
}

/**
 * `won`: pairs of an own and another image in which the own one scores higher, ties half. `atLeast`: others that score
 * no less than each of `own`.
 */
function countOthers(
  { values, columns }: Rows,
  labels: ArrayLike<number>,
  label: number,
  own: Float64Array,
): { won: number; atLeast: Float64Array } {
  const atLeast = new Float64Array(own.length);
  let won = 0;
  for (let row = 0; row < labels.length; row++) {
    if (labels[row] === label) continue;
    const score = values[row * columns + label]!;
    const below = position(own, score, false);
    const upTo = position(own, score, true);
    won += own.length - upTo + (upTo - below) / 2;
    if (upTo > 0) atLeast[upTo - 1]!++;
  }
  for (let i = own.length - 2; i >= 0; i--) atLeast[i]! += atLeast[i + 1]!;
  return { won, atLeast };
}

/** How many of `sorted` are below `value`, or with `orEqual` not above it. */
function position(sorted: Float64Array, value: number, orEqual: boolean): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (orEqual ? sorted[middle]! <= value : sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Cohen's kappa with weights that grow with the square of the distance between classes (Cohen 1968): for ordinal
 * labels, such as grades of a disease. 0 when chance alone would agree as well, as in scikit-learn.
 */
export function quadraticKappa({ actual, predicted, cells }: Tally): number {
  const total = sum(actual);
  const moment = (counts: Float64Array, power: number) =>
    counts.reduce((all, count, c) => all + count * c ** power, 0);
  const observed = cells.reduce((all, [i, j, count]) => all + (i - j) ** 2 * count, 0);
  // Σᵢⱼ (i − j)² aᵢ pⱼ / n, multiplied out
  const expected =
    moment(actual, 2) +
    moment(predicted, 2) -
    (2 * moment(actual, 1) * moment(predicted, 1)) / Math.max(1, total);
  return expected <= 0 ? 0 : 1 - observed / expected;
}

/**
 * Expected calibration error (Guo et al. 1706.04599): Σ_bins share·|accuracy − mean confidence| over equal-width bins
 * (low, high] of the largest probability.
 */
export function expectedCalibrationError(
  probabilities: Rows,
  labels: ArrayLike<number>,
  binCount = 15,
): number {
  const gaps = new Float64Array(binCount); // Σ (hit − confidence) of each bin
  const predicted = argmaxRows(probabilities);
  for (let row = 0; row < labels.length; row++) {
    const confidence = probabilities.values[row * probabilities.columns + predicted[row]!]!;
    const bin = Math.min(Math.max(Math.ceil(confidence * binCount) - 1, 0), binCount - 1);
    gaps[bin]! += (predicted[row] === labels[row] ? 1 : 0) - confidence;
  }
  return ratio(sum(Array.from(gaps, Math.abs)), labels.length);
}

/** Many-shot: more than 100 training images; few-shot: fewer than 20 (Liu et al. 1904.05160). Null where none. */
function shotRecalls(recall: readonly (number | null)[], trainCounts: readonly number[]) {
  const over = (belongs: (count: number) => boolean) =>
    mean(recall.filter((r, c): r is number => r !== null && belongs(trainCounts[c]!)));
  return {
    manyShotRecall: over((count) => count > 100),
    mediumShotRecall: over((count) => count >= 20 && count <= 100),
    fewShotRecall: over((count) => count < 20),
  };
}

function requireFit({ values, columns }: Rows, labels: ArrayLike<number>, counts: readonly number[]): void {
  if (values.length !== labels.length * columns)
    throw new RangeError(
      `${values.length} probabilities do not fit ${labels.length} labels of ${columns} classes`,
    );
  if (counts.length !== columns)
    throw new RangeError(`${counts.length} class counts do not fit ${columns} classes`);
  const stray = Array.from(labels).find(
    (label) => !(Number.isInteger(label) && label >= 0 && label < columns),
  );
  if (stray !== undefined) throw new RangeError(`label ${stray} is not one of the ${columns} classes`);
}

function sum(values: readonly number[] | Float64Array): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : sum(values) / values.length;
}

/** a / b, and 0 where b is 0. */
function ratio(a: number, b: number): number {
  return b === 0 ? 0 : a / b;
}
