/** Recall by class as it may be shown: a class without images in a part has none there. */
import type { Metrics } from './records.ts';

/** One a class; null for a class of which the part has no image. */
export function classRecalls({ perClassRecall, confusion }: Metrics): (number | null)[] {
  return perClassRecall.map((recall, c) => {
    const images = confusion[c]?.reduce((sum, count) => sum + count, 0);
    return images === 0 ? null : recall;
  });
}

/** The smallest of the recalls there are; 0 without any. */
export function worstOf(recalls: readonly (number | null)[]): number {
  const there = recalls.filter((recall) => recall !== null);
  return there.length === 0 ? 0 : there.reduce((a, b) => Math.min(a, b));
}
