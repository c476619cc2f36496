/**
 * "Worth k real images": how many fresh real images of each tail class, added to over-sampling, would have brought a score. The
 * curve is over-sampling's mean score with k = 0, 5, 10, … such images, made monotone by isotonic regression (pool adjacent
 * violators: Ayer et al. 1955), with straight lines in between. Scores are such that more is better; give −NLL for NLL.
 */

/** One measured point of the curve. */
export interface RealImagesPoint {
  /** k, fresh real images of each tail class: a whole number, 0 or more. */
  readonly images: number;
  /** Mean over seeds. */
  readonly score: number;
  /** How many seeds it is the mean of; 1 without it. */
  readonly weight?: number;
}

/** `below`: worse than the curve's first point; `above`: better than its last. `images` is then that point's k. */
export interface Worth {
  readonly place: 'below' | 'within' | 'above';
  /** k, interpolated. */
  readonly images: number;
}

/**
 * The least k at which the monotone curve reaches `score`.
 *
 * @throws RangeError for fewer than two points, two points of one k, or numbers that are not finite.
 */
export function worthInRealImages(points: readonly RealImagesPoint[], score: number): Worth {
  const curve = monotoneCurve(points);
  if (!Number.isFinite(score)) throw new RangeError(`a score of ${score} is worth nothing that can be said`);
  const [first, last] = [curve[0]!, curve.at(-1)!];
  if (score < first.score) return { place: 'below', images: first.images };
  if (score > last.score) return { place: 'above', images: last.images };
  const end = curve.findIndex((point) => point.score >= score);
  if (end === 0) return { place: 'within', images: first.images };
  const [from, to] = [curve[end - 1]!, curve[end]!];
  const share = (score - from.score) / (to.score - from.score);
  return { place: 'within', images: from.images + share * (to.images - from.images) };
}

/** The points in order of k, their scores the closest ones, by weighted squares, that never fall. */
export function monotoneCurve(points: readonly RealImagesPoint[]): RealImagesPoint[] {
  const sorted = [...points].sort((a, b) => a.images - b.images);
  checkPoints(sorted);
  const blocks: { score: number; weight: number; count: number }[] = [];
  for (const { score, weight = 1 } of sorted) {
    let block = { score, weight, count: 1 };
    for (let before = blocks.at(-1); before && before.score >= block.score; before = blocks.at(-1)) {
      blocks.pop();
      const sum = before.weight + block.weight;
      const mean = (before.weight * before.score + block.weight * block.score) / sum;
      block = { score: mean, weight: sum, count: before.count + block.count };
    }
    blocks.push(block);
  }
  const scores = blocks.flatMap(({ score, count }) => new Array<number>(count).fill(score));
  return sorted.map((point, i) => ({ ...point, score: scores[i]! }));
}

function checkPoints(sorted: readonly RealImagesPoint[]): void {
  if (sorted.length < 2) throw new RangeError(`a curve needs at least two points, not ${sorted.length}`);
  sorted.forEach(({ images, score, weight = 1 }, i) => {
    if (!Number.isInteger(images) || images < 0)
      throw new RangeError(`a point of ${images} images; it must be a whole number of at least 0`);
    if (images === sorted[i - 1]?.images)
      throw new RangeError(`two points of ${images} images; give their mean`);
    if (!Number.isFinite(score)) throw new RangeError(`the score of ${images} images is ${score}`);
    if (!(weight > 0 && weight < Infinity))
      throw new RangeError(`the weight of ${images} images is ${weight}`);
  });
}

/** For a table: '23', 'below 0', 'above 150'. */
export function worthText({ place, images }: Worth): string {
  return place === 'within' ? String(Math.round(images)) : `${place} ${images}`;
}
