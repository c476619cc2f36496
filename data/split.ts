/**
 * Validation sets: a stratified split out of train that keeps groups whole, or a class-balanced choice from images
 * that no one trains on. Pure functions of labels, groups and a key.
 */
import type { Key } from '../tensor/random.ts';
import { foldIn, keyFromSeed, permutation } from '../tensor/random.ts';
import { classMembers } from './long-tail.ts';
import { countClasses } from './source.ts';

export interface Split {
  /** Ascending indices. */
  readonly train: Int32Array;
  readonly validation: Int32Array;
}

interface Group {
  readonly members: number[];
  /** Images of each class that occurs in the group. */
  readonly counts: Map<number, number>;
}

/**
 * Takes about `fraction` (0..0.5) of every class as validation. No group is on both sides; every class keeps a train
 * image, and gives at least one validation image where it has two groups or more that can be parted.
 */
export function splitValidation(
  labels: Int32Array,
  groups: readonly string[] | null,
  classes: number,
  fraction: number,
  key: Key,
): Split {
  const inValidation = new Uint8Array(labels.length);
  if (fraction > 0)
    for (const group of chooseGroups(
      gatherGroups(labels, groups),
      countClasses(labels, classes),
      fraction,
      key,
    ))
      for (const index of group.members) inValidation[index] = 1;
  const all = Array.from(labels.keys());
  return {
    train: Int32Array.from(all.filter((i) => inValidation[i] === 0)),
    validation: Int32Array.from(all.filter((i) => inValidation[i] === 1)),
  };
}

/** As `splitValidation`, for a test set: the same whatever the seeds of a run are. */
export function splitTest(
  labels: Int32Array,
  groups: readonly string[] | null,
  classes: number,
  fraction: number,
): Split {
  return splitValidation(labels, groups, classes, fraction, foldIn(keyFromSeed(0), 'test'));
}

function gatherGroups(labels: Int32Array, names: readonly string[] | null): Group[] {
  const groups = new Map<string | number, Group>();
  labels.forEach((label, index) => {
    const name = names?.[index] ?? index;
    let group = groups.get(name);
    if (!group) groups.set(name, (group = { members: [], counts: new Map() }));
    group.members.push(index);
    group.counts.set(label, (group.counts.get(label) ?? 0) + 1);
  });
  return [...groups.values()];
}

/**
 * In keyed order, moves single groups in or out as long as that brings the validation counts nearer to their targets
 * (each move lowers the deviation, so this ends); then gives forgotten classes their smallest group.
 */
function chooseGroups(
  groups: readonly Group[],
  totals: readonly number[],
  fraction: number,
  key: Key,
): Set<Group> {
  const targets = totals.map((total) => (total < 2 ? 0 : Math.max(1, Math.round(total * fraction))));
  const taken = totals.map(() => 0);
  const chosen = new Set<Group>();
  const leavesTrain = (group: Group): boolean =>
    [...group.counts].every(([label, count]) => taken[label]! + count < totals[label]!);
  const move = (group: Group, sign: 1 | -1): void => {
    if (sign === 1) chosen.add(group);
    else chosen.delete(group);
    for (const [label, count] of group.counts) taken[label]! += sign * count;
  };
  const order = Array.from(permutation(foldIn(key, 'validation'), groups.length), (i) => groups[i]!);
  for (let hasMoved = true; hasMoved;) {
    hasMoved = false;
    for (const group of order) {
      const sign = chosen.has(group) ? -1 : 1;
      if (gain(group, sign, targets, taken) < 1e-9 || (sign === 1 && !leavesTrain(group))) continue;
      move(group, sign);
      hasMoved = true;
    }
  }
  targets.forEach((target, label) => {
    if (target === 0 || taken[label]! > 0) return;
    const candidates = order.filter((group) => group.counts.has(label) && leavesTrain(group));
    candidates.sort((a, b) => a.members.length - b.members.length);
    if (candidates[0]) move(candidates[0], 1);
  });
  return chosen;
}

/** Fall of Σ_c ((taken_c − target_c) / max(1, target_c))² when the group moves in (sign 1) or out (−1). */
function gain(group: Group, sign: 1 | -1, targets: readonly number[], taken: readonly number[]): number {
  let fall = 0;
  for (const [label, count] of group.counts) {
    const scale = Math.max(1, targets[label]!);
    const before = (taken[label]! - targets[label]!) / scale;
    const after = (taken[label]! + sign * count - targets[label]!) / scale;
    fall += before * before - after * after;
  }
  return fall;
}

/** At most `limit` of `pool` (indices into `labels`), equally many of each class where it has them; ascending. */
export function chooseBalanced(
  labels: Int32Array,
  pool: Int32Array,
  classes: number,
  limit: number,
  key: Key,
): Int32Array {
  const members = classMembers(
    Int32Array.from(pool, (index) => labels[index]!),
    classes,
  );
  const chosen = members.flatMap((indices, label) => {
    const quota = Math.floor(limit / classes) + (label < limit % classes ? 1 : 0);
    const order = permutation(foldIn(key, 'balanced', label), indices.length);
    return Array.from(order.subarray(0, quota), (i) => pool[indices[i]!]!);
  });
  return Int32Array.from(chosen).sort();
}
