/** Layers of configuration: the upper layer wins, field by field; lists are replaced whole. */

export type PlainObject = Readonly<Record<string, unknown>>;

/** `over` on top of `base`; neither is changed. A field that is undefined in `over` keeps its base. */
export function mergeConfig(base: PlainObject, over: PlainObject): PlainObject {
  const merged = new Map(Object.entries(base));
  for (const [name, value] of Object.entries(over)) {
    if (value === undefined) continue;
    const below = merged.get(name);
    merged.set(name, isPlainObject(below) && isPlainObject(value) ? mergeConfig(below, value) : value);
  }
  return Object.fromEntries(merged);
}

/** `{a: {b: value}}` for the path `['a', 'b']`. */
export function nested(path: readonly string[], value: unknown): PlainObject {
  return path.reduceRight<unknown>((inner, name) => ({ [name]: inner }), value) as PlainObject;
}

/** Whether `values` sets the field at `path`, or a field that contains it. */
export function isWritten(values: PlainObject, path: readonly (string | number)[]): boolean {
  let current: unknown = values;
  for (const part of path) {
    if (!isPlainObject(current)) return current !== undefined;
    current = current[part];
  }
  return current !== undefined;
}

export function isPlainObject(value: unknown): value is PlainObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
