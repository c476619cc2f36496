/** The output of `ballast data`: plain values for --json, and lines for a person. Long lists are cut. */
import type { ImageSet, LoadedDataset } from '../../data/dataset.ts';
import type { Findings } from '../../data/findings.ts';
import { describeUnused, type Layout } from '../../data/layout/layout.ts';
import { countClasses } from '../../data/source.ts';
import type { SizeCount } from '../../data/survey.ts';

const SKIPPED_SHOWN = 20;
const WARNINGS_SHOWN = 30;
const SIZES_SHOWN = 5;
/** Of more classes than twice this, the largest and the smallest are shown. */
const CLASSES_SHOWN = 30;
/** Characters of a class's name. */
const NAME_SHOWN = 60;
const NOTHING = '–';

export interface ClassSummary {
  readonly name: string;
  readonly train: number;
  /** Null where the data has no such part. */
  readonly validation: number | null;
  readonly test: number | null;
}

export interface DataSummary {
  readonly name: string;
  readonly size: string;
  /** Null when a run would refuse the data for its many sizes. */
  readonly digest: string | null;
  readonly layout: Layout;
  readonly sizes: readonly SizeCount[];
  readonly classes: readonly ClassSummary[];
  readonly equal: Findings['equal'];
  readonly constant: Findings['constant'];
  readonly skipped: LoadedDataset['skipped'];
  readonly warnings: readonly string[];
}

/** `isMixed`: the images have several sizes, and none to bring them to was named. */
export function summarize(dataset: LoadedDataset, isMixed: boolean): DataSummary {
  const { name, height, width, channels, digest, classes, train, validation, test, skipped } = dataset;
  const count = (set: ImageSet | null) => set && countClasses(set.labels, classes.length);
  const [inTrain, inValidation, inTest] = [count(train)!, count(validation), count(test)];
  const colour = channels === 1 ? 'grey' : 'colour';
  return {
    name,
    size: isMixed ? `${dataset.sizes.length} sizes, ${colour}` : `${width}×${height} px, ${colour}`,
    digest: isMixed ? null : digest,
    ...{ layout: dataset.layout, sizes: dataset.sizes },
    classes: classes.map((className, c) => ({
      name: className,
      train: inTrain[c]!,
      validation: inValidation && inValidation[c]!,
      test: inTest && inTest[c]!,
    })),
    ...dataset.findings,
    ...{ skipped, warnings: dataset.warnings },
  };
}

export function describe(summary: DataSummary): string {
  const { name, size, digest, classes, skipped, warnings, sizes } = summary;
  const counts = classes.map(({ train }) => train);
  const ratio = counts.reduce((a, b) => Math.max(a, b), 0) / Math.max(1, counts.reduce((a, b) => Math.min(a, b), Infinity)); // prettier-ignore
  const digestLine =
    digest === null
      ? `digest: none yet: a run needs one size, --image-size ${suggestedSize(sizes)} for example`
      : `digest: ${digest}`;
  return [
    `${name}: ${size}, ${classes.length} classes, imbalance ${ratio.toFixed(1)} : 1`,
    ...describeLayout(summary),
    '',
    ...classTable(classes),
    '',
    ...describeSizes(sizes),
    ...describeFindings(summary),
    digestLine,
    `skipped: ${skipped.length}`,
    ...cut(skipped.map(({ file, reason }) => `  ${file}: ${reason}`), SKIPPED_SHOWN), // prettier-ignore
    ...cut(warnings.map((warning) => `warning: ${warning}`), WARNINGS_SHOWN), // prettier-ignore
  ].join('\n');
}

function describeLayout({ layout }: DataSummary): string[] {
  const files = layout.unused.map(describeUnused).map((line) => `  ${line}`);
  const junk =
    layout.junk > 0 ? [`  ${layout.junk} files of the system or the storage device are passed over`] : [];
  return [`read as ${layout.kind}`, ...layout.evidence.map((line) => `  ${line}`), ...files, ...junk];
}

function classTable(classes: readonly ClassSummary[]): string[] {
  const sum = (part: 'train' | 'validation' | 'test') =>
    classes.some((row) => row[part] === null) ? null : classes.reduce((total, row) => total + row[part]!, 0);
  const all = { name: 'all', train: sum('train')!, validation: sum('validation'), test: sum('test') };
  const ordered = [...classes].sort((a, b) => b.train - a.train);
  const isCut = classes.length > 2 * CLASSES_SHOWN;
  const shown = isCut ? [...ordered.slice(0, CLASSES_SHOWN), ...ordered.slice(-CLASSES_SHOWN)] : classes;
  const rows = [
    ['class', 'train', 'validation', 'test'],
    ...[...shown, all].map((row) => [
      row.name.length > NAME_SHOWN ? `${row.name.slice(0, NAME_SHOWN - 1)}…` : row.name,
      ...[row.train, row.validation, row.test].map((count) => (count === null ? NOTHING : String(count))),
    ]),
  ];
  const widths = rows[0]!.map((_, column) =>
    rows.reduce((most, row) => Math.max(most, row[column]!.length), 0),
  );
  const lines = rows.map((row) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '),
  );
  if (isCut)
    lines.splice(
      1 + CLASSES_SHOWN,
      0,
      `… ${classes.length - 2 * CLASSES_SHOWN} classes between these, the largest, and those, the smallest`,
    );
  return lines;
}

function describeSizes(sizes: readonly SizeCount[]): string[] {
  if (sizes.length < 2) return [];
  const parts = sizes
    .slice(0, SIZES_SHOWN)
    .map(({ width, height, count }) => `${count} of ${width}×${height}`);
  const more = sizes.length > SIZES_SHOWN ? [`${sizes.length - SIZES_SHOWN} other sizes`] : [];
  return [`sizes: ${[...parts, ...more].join(', ')}`];
}

function describeFindings({ equal, constant }: DataSummary): string[] {
  const lines: string[] = [];
  if (equal.groups > 0)
    lines.push(
      `equal images: ${equal.groups} groups of ${equal.images} images; ${equal.acrossSplits} groups lie in several splits, ${equal.acrossLabels} under several classes`,
      ...equal.examples
        .slice(0, 3)
        .map(
          ({ images }) =>
            `  ${images.map((image) => `${image.id} (${image.split}, ${image.class})`).join(' = ')}`,
        ),
    );
  if (constant.count > 0)
    lines.push(`one colour all over: ${constant.count} images (first: ${constant.first})`);
  return lines;
}

/** The largest usual side that no more than half of the images are smaller than. */
function suggestedSize(sizes: readonly SizeCount[]): number {
  const sides = sizes.flatMap(({ width, height, count }) => Array<number>(Math.min(count, 1000)).fill(Math.min(width, height))); // prettier-ignore
  const median = sides.sort((a, b) => a - b)[Math.floor(sides.length / 2)] ?? 32;
  return [224, 128, 64, 32].find((side) => side <= median) ?? 32;
}

function cut(lines: readonly string[], most: number): string[] {
  const more = lines.length > most ? [`  … and ${lines.length - most} more`] : [];
  return [...lines.slice(0, most), ...more];
}
