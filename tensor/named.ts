/**
 * Builders whose results carry an identity, so that another process finds the graph compiled from one (graph-cache.ts).
 * `named('f', build)` is `build`, except that `identityOf(build(…))` is the name with the arguments.
 *
 * An identity is only as good as its builder: the result must depend only on the arguments and on code under tensor/
 * and models/, the folders whose digest is part of every key (graph-key.ts). The linter allows no other folder to use
 * this.
 */

/** Weak, and not a property of the result: a changed copy of a named thing has no identity. */
const identities = new WeakMap<object, string>();

export function named<Args extends readonly unknown[], Result extends object>(
  name: string,
  build: (...args: Args) => Result,
): (...args: Args) => Result {
  return (...args) => {
    const result = build(...args);
    const text = textOf(args);
    if (text !== null) identities.set(result, `${name}${text}`);
    return result;
  };
}

/** Name and arguments of a named builder's result; null for anything else, or when an argument has no text form. */
export function identityOf(value: object): string | null {
  return identities.get(value) ?? null;
}

/**
 * Plain data as text, different for different values; null if it holds an unnamed function or an object with a class.
 */
function textOf(value: unknown): string | null {
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value);
  if (typeof value === 'string') return JSON.stringify(value);
  if (value === undefined || value === null || typeof value === 'boolean') return String(value);
  if (typeof value !== 'object' && typeof value !== 'function') return null;
  const identity = identityOf(value);
  if (identity !== null) return identity;
  if (Array.isArray(value)) return joined('[]', value.map(textOf));
  if (Object.getPrototypeOf(value) !== Object.prototype) return null;
  const fields = Object.entries(value).map(([name, field]) => {
    const text = textOf(field);
    return text === null ? null : `${JSON.stringify(name)}:${text}`;
  });
  return joined('{}', fields);
}

function joined(brackets: string, parts: readonly (string | null)[]): string | null {
  return parts.includes(null) ? null : `${brackets[0]}${parts.join()}${brackets[1]}`;
}
