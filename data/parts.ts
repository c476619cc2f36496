/**
 * Which images of a source go where: train, validation, development, archive. Nothing is decoded; pure but for its
 * messages. In this order: the long tail is cut; development and archive leave the train images where they come from
 * `train`; validation is parted off; what comes from the unused images is drawn, validation first, then development,
 * then the archive, then fresh train images. No image is in two parts, and groups stay whole.
 */
import type { DataConfig } from '../config/data-config.ts';
import { UserError } from '../common/errors.ts';
import { foldIn, keyFromSeed, permutation, type Key } from '../tensor/random.ts';
import { chooseLongTail, classMembers } from './long-tail.ts';
import { countClasses, pick, type Items, type Source } from './source.ts';
import { chooseBalanced, splitValidation } from './split.ts';

export interface Parts {
  readonly train: Items;
  readonly validation: Items | null;
  readonly development: Items | null;
  /** Its labels are there, and nothing that trains may read them. */
  readonly archive: Items | null;
  /** Further train images of the rare classes (`data.fresh`). */
  readonly fresh: Items | null;
}

/** Throws UserError when a part asks for more images than there are. */
export function chooseParts(config: DataConfig, source: Source): Parts {
  const pool = new UnusedPool(config, source);
  const classes = source.classes.length;
  let train = pool.train;
  let development: Items | null = null;
  if (config.development?.from === 'train')
    [train, development] = partOff(
      train,
      config.development.fraction,
      foldIn(keyFromSeed(config.development.seed), 'development'),
      classes,
    );
  let archive: Items | null = null;
  if (config.archive?.from === 'train')
    [train, archive] = partOff(
      train,
      1 - config.archive.labelled,
      foldIn(keyFromSeed(config.archive.seed), 'archive'),
      classes,
    );
  const [labelled, validation] = chooseValidation(config, source, train, pool);
  if (config.development?.from === 'unused') {
    const { perClass, seed } = config.development;
    const key = foldIn(keyFromSeed(seed), 'development');
    development = pool.takeBalanced(perClass * classes, key);
    pool.checkCounts('data.development.perClass', countClasses(development.labels, classes), perClass);
  }
  if (config.archive?.from === 'unused') {
    const { ratio, seed } = config.archive;
    const counts = countClasses(labelled.labels, classes);
    archive = pool.takeLike(counts, ratio, foldIn(keyFromSeed(seed), 'archive'));
  }
  const fresh = config.fresh ? chooseFresh(config.fresh, countClasses(labelled.labels, classes), pool) : null;
  return { train: labelled, validation, development, archive, fresh };
}

function chooseFresh(
  { perClass, below, seed }: NonNullable<DataConfig['fresh']>,
  counts: readonly number[],
  pool: UnusedPool,
): Items {
  const wanted = counts.map((count) => (count < below ? perClass : 0));
  return pool.takeCounts(wanted, foldIn(keyFromSeed(seed), 'fresh'), (label, left) => {
    const name = pool.className(label);
    return `data.fresh.perClass is ${perClass}: class '${name}' has ${left} unused images left; set it to ${left} or less`;
  });
}

function chooseValidation(
  config: DataConfig,
  source: Source,
  train: Items,
  pool: UnusedPool,
): [train: Items, validation: Items | null] {
  const rule = config.validation;
  switch (rule.from) {
    case 'none':
      return [train, null];
    case 'unused': {
      const validation = pool.takeBalanced(rule.limit, keyFromSeed(rule.seed));
      const empty = countClasses(validation.labels, source.classes.length).indexOf(0);
      if (empty >= 0)
        throw new UserError(
          `data.validation: no validation image of class '${source.classes[empty]}' can be had from the unused ones; set data.longTail.largest smaller or data.validation.limit larger`,
        );
      return [train, validation];
    }
    case 'train':
      if (source.validation) return [train, source.validation];
      return partOff(train, rule.fraction, keyFromSeed(rule.seed), source.classes.length);
  }
}

/** A stratified share of `items`, groups whole; null for an empty one. */
function partOff(items: Items, fraction: number, key: Key, classes: number): [Items, Items | null] {
  const parts = splitValidation(items.labels, items.groups, classes, fraction, key);
  if (parts.validation.length === 0) return [items, null];
  return [pick(items, parts.train), pick(items, parts.validation)];
}

/** The train images that the long tail left out, from which parts are taken without giving one away twice. */
class UnusedPool {
  /** Images that the long tail kept; everything, without one. */
  readonly train: Items;
  readonly #source: Source;
  #free: Int32Array;

  constructor(config: DataConfig, source: Source) {
    const { labels, groups } = source.train;
    const tail = config.longTail ? chooseLongTail(labels, source.classes, config.longTail) : null;
    this.#source = source;
    this.train = tail ? pick(source.train, tail.chosen) : source.train;
    const kept = new Set(groups ? this.train.groups : null);
    this.#free = (tail?.unused ?? new Int32Array()).filter((index) => !groups || !kept.has(groups[index]!));
  }

  /** At most `limit` images, equally many of each class. */
  takeBalanced(limit: number, key: Key): Items {
    const { train, classes } = this.#source;
    return this.#take(chooseBalanced(train.labels, this.#free, classes.length, limit, key));
  }

  /** `ratio` images for each of `counts`; null takes the rest. Throws UserError if there are too few. */
  takeLike(counts: readonly number[], ratio: number | null, key: Key): Items {
    if (ratio === null) return this.#take(this.#free);
    const wanted = counts.map((count) => Math.round(count * ratio));
    return this.takeCounts(wanted, key, (label, left, sizes) => {
      const most = Math.min(...sizes.map((size, c) => size / counts[c]!));
      return (
        `data.archive.ratio is ${ratio}: class '${this.className(label)}' has ${left} unused images left, not ${wanted[label]}; ` +
        `set it to ${Math.floor(most * 100) / 100} or less, or data.longTail.largest smaller`
      );
    });
  }

  /** `wanted` images of each class. Throws UserError with what `explain` says of a class that has too few. */
  takeCounts(
    wanted: readonly number[],
    key: Key,
    explain: (label: number, left: number, sizes: readonly number[]) => string,
  ): Items {
    const { train, classes } = this.#source;
    const members = classMembers(
      Int32Array.from(this.#free, (index) => train.labels[index]!),
      classes.length,
    );
    const sizes = members.map((own) => own.length);
    const short = sizes.findIndex((size, label) => size < wanted[label]!);
    if (short >= 0) throw new UserError(explain(short, sizes[short]!, sizes));
    const chosen = members.flatMap((own, label) => {
      const order = permutation(foldIn(key, label), own.length);
      return Array.from(order.subarray(0, wanted[label]), (i) => this.#free[own[i]!]!);
    });
    return this.#take(Int32Array.from(chosen).sort());
  }

  className(label: number): string {
    return this.#source.classes[label]!;
  }

  /** Throws UserError when a class got fewer than `wanted` images. */
  checkCounts(field: string, counts: readonly number[], wanted: number): void {
    const short = counts.findIndex((count) => count < wanted);
    if (short >= 0)
      throw new UserError(
        `${field} is ${wanted}: class '${this.#source.classes[short]}' has only ${counts[short]} unused images left; set it smaller, or data.longTail.largest smaller`,
      );
  }

  #take(chosen: Int32Array): Items {
    const { groups } = this.#source.train;
    const taken = new Set(chosen);
    const takenGroups = new Set(groups ? Array.from(chosen, (index) => groups[index]!) : null);
    this.#free = this.#free.filter(
      (index) => !taken.has(index) && !(groups && takenGroups.has(groups[index]!)),
    );
    return pick(this.#source.train, chosen);
  }
}
