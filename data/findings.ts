/** Findings in the decoded images of a data set: equal images, on both sides of a split or under two labels, and
 * images
 * of one colour. Images are equal when their bytes at the training size are.
 */
import { createHash } from 'node:crypto';
import type { ImageSet } from './image-set.ts';

export interface EqualImages {
  /** Groups of equal images, and how many images they hold. */
  readonly groups: number;
  readonly images: number;
  /** Groups that lie in several splits, or under several labels. */
  readonly acrossSplits: number;
  readonly acrossLabels: number;
  /** The first groups, those across splits or labels before others. */
  readonly examples: readonly EqualGroup[];
}

export interface EqualGroup {
  readonly images: readonly { readonly split: string; readonly class: string; readonly id: string }[];
}

export interface Findings {
  readonly equal: EqualImages;
  /** Images whose values differ by 2 at most. */
  readonly constant: { readonly count: number; readonly first: string | null };
}

const EXAMPLES = 20;
const SHOWN_IN_GROUP = 5;
const SAME = 2;

type Splits = Readonly<Record<string, ImageSet | null>>;
interface Place {
  readonly split: string;
  readonly label: number;
  readonly id: string;
}

export function findEqualAndConstant(splits: Splits, classes: readonly string[]): Findings {
  const places = new Map<string, Place[]>();
  const constant: string[] = [];
  for (const [split, set] of Object.entries(splits)) {
    if (!set) continue;
    const size = set.images.length / set.labels.length;
    set.labels.forEach((label, i) => {
      const bytes = set.images.subarray(i * size, (i + 1) * size);
      if (isConstant(bytes)) constant.push(set.ids[i]!);
      const digest = createHash('sha1').update(bytes).digest('base64');
      const place = { split, label, id: set.ids[i]! };
      const known = places.get(digest);
      if (known) known.push(place);
      else places.set(digest, [place]);
    });
  }
  const groups = [...places.values()].filter(({ length }) => length > 1);
  return {
    equal: summarize(groups, classes),
    constant: { count: constant.length, first: constant[0] ?? null },
  };
}

const distinct = (group: readonly Place[], key: 'split' | 'label'): boolean =>
  group.some((place) => place[key] !== group[0]![key]);

function summarize(groups: readonly Place[][], classes: readonly string[]): EqualImages {
  const across = groups.filter((group) => distinct(group, 'split'));
  const labelled = groups.filter((group) => distinct(group, 'label'));
  const ordered = [...new Set([...across, ...labelled, ...groups])];
  return {
    groups: groups.length,
    images: groups.reduce((sum, { length }) => sum + length, 0),
    acrossSplits: across.length,
    acrossLabels: labelled.length,
    examples: ordered.slice(0, EXAMPLES).map((group) => ({
      images: apart(group)
        .slice(0, SHOWN_IN_GROUP)
        .map(({ split, label, id }) => ({ split, class: classes[label]!, id })),
    })),
  };
}

/** Those that show the difference first. */
function apart(group: readonly Place[]): Place[] {
  const [first, ...rest] = group as [Place, ...Place[]];
  const differs = (place: Place) => place.split !== first.split || place.label !== first.label;
  return [first, ...rest.filter(differs), ...rest.filter((place) => !differs(place))];
}

function isConstant(bytes: Uint8Array): boolean {
  let [min, max] = [255, 0];
  for (const byte of bytes) {
    if (byte < min) min = byte;
    if (byte > max) max = byte;
    if (max - min > SAME) return false;
  }
  return true;
}

/** Lines for what makes figures wrong. */
export function describeDoubts({ equal }: Findings): string[] {
  const example = (key: 'split' | 'class') => {
    const group = equal.examples.find(({ images }) => images.some((image) => image[key] !== images[0]![key]));
    const [a, b] = group
      ? [group.images[0]!, group.images.find((image) => image[key] !== group.images[0]![key])!]
      : [];
    return a && b ? ` (first: ${a.id} and ${b.id})` : '';
  };
  const lines: string[] = [];
  if (equal.acrossSplits > 0)
    lines.push(
      `${equal.acrossSplits} images occur in more than one split${example('split')}: figures on them are too good`,
    );
  if (equal.acrossLabels > 0)
    lines.push(
      `${equal.acrossLabels} images occur under more than one class${example('class')}: one of the labels is wrong`,
    );
  return lines;
}
