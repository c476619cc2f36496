import { describe, expect, it } from 'vitest';
import {
  argmaxRows,
  classificationMetrics,
  expectedCalibrationError,
  matthewsCorrelation,
  quadraticKappa,
  rankMeasures,
  softmaxRows,
  tallyOf,
} from './metrics.ts';

/** 40 images, 5 classes of 18, 12, 6, 3, 1 images; class 4 is never predicted; scores are coarse, so that they tie. */
function coarseCase() {
  const labels = Array.from({ length: 40 }, (_, i) =>
    i < 18 ? 0 : i < 30 ? 1 : i < 36 ? 2 : i < 39 ? 3 : 4,
  );
  const logits = labels.flatMap((label, i) => {
    const r = i % 20;
    return [0, 1, 2, 3, 4].map(
      (c) =>
        (((r * r * 3 + c * c * 5 + r * c * 7) % 11) - 5) * 0.5 + (c === label ? 1.5 : 0) - (c === 4 ? 9 : 0),
    );
  });
  return { labels, probabilities: softmaxRows({ values: logits, columns: 5 }) };
}

describe('classificationMetrics', () => {
  it('of a perfect model are 1, whatever classes have no images', () => {
    const probabilities = { values: [1, 0, 0, 0, 1, 0], columns: 3 };
    const metrics = classificationMetrics(probabilities, [0, 1], [40, 30, 1], 20);
    const { balancedAccuracy, worstRecall, macroPrecision, macroF1 } = metrics;
    expect([balancedAccuracy, worstRecall, macroPrecision, macroF1]).toEqual([1, 1, 1, 1]);
  });

  it('agrees with scikit-learn 1.9', () => {
    const { labels, probabilities } = coarseCase();
    const metrics = classificationMetrics(probabilities, labels, [200, 101, 100, 20, 19], 101);
    expect(metrics.count).toBe(40);
    expect(metrics.accuracy).toBeCloseTo(0.475, 12);
    expect(metrics.balancedAccuracy).toBeCloseTo(0.38333333333333336, 12);
    expect(metrics.macroPrecision).toBeCloseTo(0.35437062937062935, 12);
    expect(metrics.macroF1).toBeCloseTo(0.3537349046465456, 12);
    expect(metrics.mcc).toBeCloseTo(0.284205331537873, 12);
    expect(metrics.aucOvr).toBeCloseTo(0.7537129845953375, 12);
    expect(metrics.confusion).toEqual([
      [9, 4, 3, 2, 0],
      [2, 5, 1, 4, 0],
      [0, 2, 4, 0, 0],
      [2, 0, 0, 1, 0],
      [0, 0, 0, 1, 0],
    ]);
    // numpy: bins (lo, hi], mean gap weighted by share
    expect(metrics.ece).toBeCloseTo(0.3649904866552107, 12);
  });

  it('groups recall by the training size of the class', () => {
    const { labels, probabilities } = coarseCase();
    const metrics = classificationMetrics(probabilities, labels, [200, 101, 100, 20, 19], 101);
    // recalls 1/2, 5/12, 2/3, 1/3, 0 from the confusion matrix above
    expect(metrics.perClassRecall).toEqual([9 / 18, 5 / 12, 4 / 6, 1 / 3, 0]);
    expect(metrics.manyShotRecall).toBeCloseTo((1 / 2 + 5 / 12) / 2, 12);
    expect(metrics.mediumShotRecall).toBeCloseTo((2 / 3 + 1 / 3) / 2, 12);
    expect(metrics.fewShotRecall).toBe(0);
    expect(metrics.tailRecall).toBeCloseTo((2 / 3 + 1 / 3 + 0) / 3, 12);
    expect(metrics.worstRecall).toBe(0);
    expect(
      classificationMetrics(probabilities, labels, [101, 102, 103, 104, 105], 101).fewShotRecall,
    ).toBeNull();
  });

  it('leaves classes without images out of balanced accuracy and AUC', () => {
    // Two images of class 0, one found; class 1 found; class 2 absent: (1/2 + 1)/2. AUC: class 0 has scores
    // .8, .3 against .3 (a win and a tie: 3/4), class 1 has .7 against .1, .6 (1).
    const probabilities = { values: [0.8, 0.1, 0.1, 0.3, 0.6, 0.1, 0.3, 0.7, 0], columns: 3 };
    const metrics = classificationMetrics(probabilities, [0, 0, 1], [5, 5, 5], 200);
    expect(metrics.balancedAccuracy).toBeCloseTo(0.75, 12);
    expect(metrics.aucOvr).toBeCloseTo(0.875, 12);
    expect(metrics.perClassRecall).toEqual([0.5, 1, null]);
    expect(metrics.worstRecall).toBe(0.5); // of the classes that have images
    expect(metrics.nll).toBeCloseTo(-(Math.log(0.8) + Math.log(0.3) + Math.log(0.7)) / 3, 12);
  });

  it('refuses what does not fit', () => {
    const probabilities = { values: [0.5, 0.5], columns: 2 };
    expect(() => classificationMetrics(probabilities, [0, 1], [1, 1], 200)).toThrow(RangeError);
    expect(() => classificationMetrics(probabilities, [2], [1, 1], 200)).toThrow(/label 2/);
    expect(() => classificationMetrics(probabilities, [0], [1], 200)).toThrow(/1 class counts/);
  });
});

describe('of ten thousand classes', () => {
  it('takes memory and time by the images there are', () => {
    // Image i is of class 5000·i and is taken for it, but the third, which is taken for class 1.
    const columns = 10_001;
    const values = new Float64Array(3 * columns);
    [0, columns + 5000, 2 * columns + 1].forEach((place) => (values[place] = 1));
    const counts = new Array<number>(columns).fill(3);
    const metrics = classificationMetrics({ values, columns }, [0, 5000, 10_000], counts, 20);
    expect(metrics.confusion).toEqual([]);
    expect(metrics.confusionCells).toEqual([[0, 0, 1], [5000, 5000, 1], [10_000, 1, 1]]); // prettier-ignore
    expect(metrics.balancedAccuracy).toBeCloseTo(2 / 3, 12);
    expect(metrics.perClassRecall.filter((recall) => recall !== null)).toEqual([1, 1, 0]);
    expect(JSON.stringify(metrics).length).toBeLessThan(200_000);
  });
});

/** The tally of a confusion matrix. */
function counted(confusion: readonly (readonly number[])[]) {
  const pairs = confusion.flatMap((row, truth) =>
    row.flatMap((images, predicted) => Array.from({ length: images }, () => [truth, predicted] as const)),
  );
  return tallyOf(
    pairs.map(([truth]) => truth),
    pairs.map(([, predicted]) => predicted),
    confusion.length,
  );
}

describe('the parts, by hand', () => {
  it.each([
    ['all right', [3, 0], [0, 2], 1],
    ['one class only', [3, 0], [2, 0], 0],
    ['two classes swapped', [0, 3], [2, 0], -1],
  ])('mcc of %s', (_, first, second, expected) => {
    expect(matthewsCorrelation(counted([first, second]))).toBeCloseTo(expected, 12);
  });

  it('area under ROC: pairs won, ties half', () => {
    // positives .9, .5; negatives .5, .1: wins 1, 1, ½ (tie), 1 of 4 pairs
    const values = [0.9, 0.5, 0.5, 0.1].flatMap((p) => [p, 0]);
    expect(rankMeasures({ values, columns: 2 }, [0, 0, 1, 1], 0.9).areas).toEqual([3.5 / 4, 0.5]);
    expect(rankMeasures({ values: [1, 0, 1, 0], columns: 2 }, [0, 0], 0.9).areas).toEqual([null, null]);
    expect(classificationMetrics({ values: [1, 0], columns: 2 }, [0], [1, 1], 20).aucOvr).toBe(0.5);
  });

  it('ece: two bins worked out', () => {
    // .9, .9: one of two right, gap 2·.9 − 1 = .8; .6 right, gap .4; (.8 + .4)/3
    const probabilities = { values: [0.9, 0.1, 0.9, 0.1, 0.4, 0.6], columns: 2 };
    expect(expectedCalibrationError(probabilities, [0, 1, 1])).toBeCloseTo(0.4, 12);
    expect(expectedCalibrationError({ values: [1, 0], columns: 2 }, [0])).toBe(0);
  });

  it('softmax survives large logits; argmax takes the first of equals', () => {
    expect(Array.from(softmaxRows({ values: [1000, 1000, -1000, -1001], columns: 2 }).values)).toEqual([
      0.5,
      0.5,
      expect.closeTo(0.7310585786300049, 12), // 1/(1 + e⁻¹)
      expect.closeTo(0.2689414213699951, 12),
    ]);
    expect(Array.from(argmaxRows({ values: [1, 3, 3, 2, 1, 2], columns: 3 }))).toEqual([1, 0]);
  });
});

describe('for screening and for ordered classes', () => {
  it('sensitivity at a specificity: one in ten of the others may lie above the threshold', () => {
    // Class 0: its images score .9 .6 .3; of ten others, one scores .8, the rest .5 and less: the threshold is .5, two of
    // three lie above. Class 1 is the mirror image: others are the three images of class 0, none may lie above .7.
    const own = [0.9, 0.6, 0.3];
    const others = [0.8, 0.5, 0.4, 0.4, 0.3, 0.3, 0.2, 0.2, 0.1, 0.1];
    const values = [...own, ...others].flatMap((p) => [p, 1 - p]);
    const labels = [0, 0, 0, ...new Array<number>(10).fill(1)];
    const [first, second] = rankMeasures({ values, columns: 2 }, labels, 0.9).sensitivityAt90;
    expect(first).toBeCloseTo(2 / 3, 12);
    expect(second).toBeCloseTo(4 / 10, 12); // 1 − p above .7: those at .2, .2, .1 and .1
  });

  it('sensitivity is unknown without images on both sides', () => {
    const { sensitivityAt90 } = rankMeasures({ values: [0.7, 0.3], columns: 2 }, [0], 0.9);
    expect(sensitivityAt90).toEqual([null, null]);
  });

  it('quadratic kappa weighs how far off', () => {
    // Rows [[2, 1, 0], [0, 1, 1], [0, 0, 1]]: Σw·O = 1 + 1 = 2. Row sums 3, 2, 1, column sums 2, 2, 2 of 6:
    // Σw·E = (3·2 + 3·2·4 + 2·2 + 2·2 + 1·2·4 + 1·2)/6 = 48/6 = 8, so κ = 1 − 2/8.
    expect(quadraticKappa(counted([[2, 1, 0], [0, 1, 1], [0, 0, 1]]))).toBeCloseTo(0.75, 12); // prettier-ignore
    expect(quadraticKappa(counted([[3, 0], [0, 0]]))).toBe(0); // prettier-ignore
  });
});
