/**
 * Quality of a classifier on a split, in plain float64 from probabilities and labels. Averages over classes leave out
 * classes for which a quantity cannot be known (recall of a class without images, AUC of one without negatives), as
 * scikit-learn does; precision and F1 of a class that is never predicted count as 0, those of a class without images
 * are left out.
 */

/** Assignable to the records' `Metrics`. All but `count`, `mcc`, `quadraticKappa`, `nll` and `confusion` lie in [0, 1]; mcc and kappa in [−1, 1]. */
export interface ClassificationMetrics {
  readonly count: number;
  readonly accuracy: number;
  readonly balancedAccuracy: number;
  readonly tailRecall: number | null;
  readonly worstRecall: number;
  readonly nll: number;
  readonly macroPrecision: number;
  readonly macroF1: number;
  readonly mcc: number;
  readonly aucOvr: number;
  readonly ece: number;
  /** 0 for a class without images. */
  readonly perClassRecall: readonly number[];
  readonly sensitivityAt90: readonly (number | null)[];
  readonly quadraticKappa: number;
  readonly manyShotRecall: number | null;
  readonly mediumShotRecall: number | null;
  readonly fewShotRecall: number | null;
  readonly confusion: readonly (readonly number[])[];
}

/** A matrix [n, k] of numbers, row-major. */
export interface Rows {
  readonly values: ArrayLike<number>;
  readonly columns: number;
}

/**
 * All metrics of `probabilities` [n, k] for `labels` [n] in 0 … k − 1. `trainCounts` [k] are the training images of
 * each class, which name it many-, medium- or few-shot, and of the tail when they are below `tailBelow`. Throws RangeError where sizes or labels do not fit.
 */
export function classificationMetrics(
  probabilities: Rows,
  labels: ArrayLike<number>,
  trainCounts: readonly number[],
  tailBelow: number,
): ClassificationMetrics {
  requireFit(probabilities, labels, trainCounts);
  const predicted = argmaxRows(probabilities);
  const confusion = confusionMatrix(labels, predicted, probabilities.columns);
  const recall = recalls(confusion);
  return {
    count: labels.length,
    accuracy: ratio(sum(confusion.map((row, c) => row[c]!)), labels.length),
    balancedAccuracy: mean(recall.filter((r) => r !== null)) ?? 0,
    tailRecall: mean(recall.filter((r, c) => r !== null && trainCounts[c]! < tailBelow) as number[]),
    worstRecall: Math.min(...recall.map((r) => r ?? 1)),
    nll: negativeLogLikelihood(probabilities, labels),
    macroPrecision: mean(precisions(confusion).filter((_, c) => recall[c] !== null)) ?? 0,
    macroF1: mean(f1Scores(confusion).filter((_, c) => recall[c] !== null)) ?? 0,
    mcc: matthewsCorrelation(confusion),
    aucOvr: macroAuc(probabilities, labels),
    ece: expectedCalibrationError(probabilities, labels),
    perClassRecall: recall.map((r) => r ?? 0),
    sensitivityAt90: sensitivities(probabilities, labels, 0.9),
    quadraticKappa: quadraticKappa(confusion),
    ...shotRecalls(recall, trainCounts),
    confusion,
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

/** confusion[true][predicted], counts. */
export function confusionMatrix(
  labels: ArrayLike<number>,
  predicted: ArrayLike<number>,
  classes: number,
): number[][] {
  const confusion = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (let i = 0; i < labels.length; i++) confusion[labels[i]!]![predicted[i]!]!++;
  return confusion;
}

/** Mean of −ln p(label), in nats; probabilities below 1e-12 count as that. 0 without images. */
export function negativeLogLikelihood({ values, columns }: Rows, labels: ArrayLike<number>): number {
  const logs = Array.from(labels, (label, row) => -Math.log(Math.max(values[row * columns + label]!, 1e-12)));
  return mean(logs) ?? 0;
}

/** Share of each class's images that were recognised; null for a class without images. */
export function recalls(confusion: readonly (readonly number[])[]): (number | null)[] {
  return confusion.map((row, c) => (sum(row) === 0 ? null : row[c]! / sum(row)));
}

function precisions(confusion: readonly (readonly number[])[]): number[] {
  return confusion.map((row, c) => ratio(row[c]!, sum(confusion.map((other) => other[c]!))));
}

/** 2·hits / (images of the class + predictions of it); 0 where both are 0. */
function f1Scores(confusion: readonly (readonly number[])[]): number[] {
  return confusion.map((row, c) => ratio(2 * row[c]!, sum(row) + sum(confusion.map((other) => other[c]!))));
}

/** Matthews correlation of several classes (Gorodkin 2004); 0 where labels or predictions are all one class. */
export function matthewsCorrelation(confusion: readonly (readonly number[])[]): number {
  const actual = confusion.map(sum);
  const predicted = confusion.map((_, c) => sum(confusion.map((row) => row[c]!)));
  const hits = sum(confusion.map((row, c) => row[c]!));
  const n = sum(actual);
  const dot = (a: readonly number[], b: readonly number[]) => sum(a.map((value, i) => value * b[i]!));
  const covariance = hits * n - dot(actual, predicted);
  const spread = Math.sqrt(n * n - dot(predicted, predicted)) * Math.sqrt(n * n - dot(actual, actual));
  return ratio(covariance, spread);
}

/** Mean over classes of the area under the one-against-rest ROC curve; 0.5 where no class has both sides. */
export function macroAuc({ values, columns }: Rows, labels: ArrayLike<number>): number {
  const areas = Array.from({ length: columns }, (_, c) => {
    const scores = Float64Array.from(labels, (_, row) => values[row * columns + c]!);
    return areaUnderRoc(
      scores,
      Array.from(labels, (label) => label === c),
    );
  });
  return mean(areas.filter((area) => area !== null)) ?? 0.5;
}

/** Mann–Whitney: P(positive scores above negative), ties counting half, by mid-ranks; null without both sides. */
export function areaUnderRoc(scores: Float64Array, positive: readonly boolean[]): number | null {
  const order = Array.from(scores.keys()).sort((i, j) => scores[i]! - scores[j]!);
  const positives = positive.filter(Boolean).length;
  const negatives = positive.length - positives;
  if (positives === 0 || negatives === 0) return null;
  let rankSum = 0;
  for (let first = 0; first < order.length;) {
    let end = first + 1;
    while (end < order.length && scores[order[end]!] === scores[order[first]!]) end++;
    const midRank = (first + 1 + end) / 2; // ranks first + 1 … end
    rankSum += midRank * order.slice(first, end).filter((i) => positive[i]).length;
    first = end;
  }
  return (rankSum - (positives * (positives + 1)) / 2) / (positives * negatives);
}

/**
 * For each class, against all others, the largest share of its images that a threshold on its probability finds while
 * at least `specificity` of the other images stay below; null without images on either side.
 */
export function sensitivities(
  { values, columns }: Rows,
  labels: ArrayLike<number>,
  specificity: number,
): (number | null)[] {
  const rows = Array.from({ length: labels.length }, (_, row) => row);
  return Array.from({ length: columns }, (_, label) => {
    const scoreOf = (row: number) => values[row * columns + label]!;
    const others = rows.filter((row) => labels[row] !== label).map(scoreOf);
    const own = rows.filter((row) => labels[row] === label).map(scoreOf);
    if (own.length === 0 || others.length === 0) return null;
    // What lies strictly above the threshold is taken for the class; as many others as may be.
    const allowed = Math.floor((1 - specificity) * others.length + 1e-9);
    const threshold = others.sort((a, b) => b - a)[allowed] ?? -Infinity;
    return own.filter((score) => score > threshold).length / own.length;
  });
}

/**
 * Cohen's kappa with weights that grow with the square of the distance between classes (Cohen 1968): for labels whose
 * order means something, as grades of a disease. 0 where chance alone would be as near, as scikit-learn has it.
 */
export function quadraticKappa(confusion: readonly (readonly number[])[]): number {
  const total = sum(confusion.map(sum));
  const given = confusion.map((_, column) => sum(confusion.map((row) => row[column]!)));
  let [observed, expected] = [0, 0];
  confusion.forEach((row, i) =>
    row.forEach((count, j) => {
      observed += (i - j) ** 2 * count;
      expected += ((i - j) ** 2 * sum(row) * given[j]!) / Math.max(1, total);
    }),
  );
  return expected === 0 ? 0 : 1 - observed / expected;
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

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : sum(values) / values.length;
}

/** a / b, and 0 where b is 0. */
function ratio(a: number, b: number): number {
  return b === 0 ? 0 : a / b;
}
