/** Orders of lists (google.aip.dev/132): `test.balanced_accuracy desc, create_time`. */
import { invalidField } from './errors.ts';
import { type FieldValue, RUN_FIELD_NAMES, runField, type RunView } from './run-fields.ts';
import { checkLength, MAX_CHARACTERS } from './text-limits.ts';

/** A place in a list: one value for each field of the order, the first counts most. */
export type Key = readonly FieldValue[];

export interface Order<Item> {
  readonly keyOf: (item: Item) => Key;
  readonly compare: (a: Key, b: Key) => number;
}

interface Direction {
  readonly isDescending: boolean;
}

const MAX_FIELDS = 8;

/** The youngest first, and by name among those of one instant. */
const LAST = ['create_time desc', 'name'];

/** An order of runs; the youngest come first where it says nothing else. @throws ApiError naming the wrong part. */
export function parseRunOrder(orderBy: string): Order<RunView> {
  checkLength(orderBy, 'order_by', MAX_CHARACTERS.orderBy);
  const parts = orderBy.trim() === '' ? [] : orderBy.split(',');
  if (parts.length > MAX_FIELDS) throw invalidField('order_by', orderBy, `at most ${MAX_FIELDS} fields`);
  const fields = [...parts, ...LAST].map(parsePart);
  return { keyOf: (run) => fields.map(({ of }) => of(run)), compare: comparing(fields) };
}

function parsePart(part: string) {
  const [name = '', direction = 'asc', ...rest] = part.split(' ').filter((word) => word !== '');
  const field = runField(name);
  if (field === undefined)
    throw invalidField('order_by', name, `no such field; there are ${RUN_FIELD_NAMES.join(', ')}`);
  if ((direction !== 'asc' && direction !== 'desc') || rest.length > 0)
    throw invalidField('order_by', part.trim(), "write FIELD or 'FIELD desc', separated by commas");
  return { of: field.of, isDescending: direction === 'desc' };
}

/** Compares keys by these directions, ascending beyond them; what an item does not have comes last in either. */
function comparing(directions: readonly Direction[]): (a: Key, b: Key) => number {
  return (a, b) => {
    for (let i = 0; i < Math.max(a.length, b.length); i++) {
      const [one = null, other = null] = [a[i], b[i]];
      if (one === other) continue;
      if (one === null || other === null) return one === null ? 1 : -1;
      return one < other === (directions[i]?.isDescending ?? false) ? 1 : -1;
    }
    return 0;
  };
}

/** Items in order of numbers, the first counts most. */
export function byNumbers<Item>(keyOf: (item: Item) => readonly number[]): Order<Item> {
  return { keyOf, compare: comparing([]) };
}

/** Items in order of their names. */
export const byName: Order<{ readonly name?: string | undefined }> = {
  keyOf: ({ name }) => [name ?? ''],
  compare: comparing([]),
};
