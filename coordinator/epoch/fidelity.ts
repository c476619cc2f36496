/** Class fidelity: the share of synthetic images that the independent judge gives the intended class. Pure. */
import type { Fidelity } from '../../report/records.ts';

/**
 * Fidelity from the judge's counts per class; null when there are no images. `tail` is over the images of all
 * classes with fewer than `tailBelow` training images together; null where they got none.
 */
export function fidelityOf(
  images: readonly number[],
  faithful: readonly number[],
  classCounts: readonly number[],
  tailBelow: number,
): Fidelity | null {
  const share = (belongs: (c: number) => boolean): number | null => {
    const members = images.map((_, c) => c).filter(belongs);
    const total = members.reduce((sum, c) => sum + images[c]!, 0);
    return total === 0 ? null : members.reduce((sum, c) => sum + faithful[c]!, 0) / total;
  };
  const all = share(() => true);
  if (all === null) return null;
  return {
    all,
    tail: share((c) => classCounts[c]! < tailBelow),
    perClass: images.map((_, c) => share((other) => other === c)),
  };
}

/** Training images of each class. */
export function countClasses(labels: readonly number[], classes: number): number[] {
  const counts = new Array<number>(classes).fill(0);
  for (const label of labels) counts[label]! += 1;
  return counts;
}
