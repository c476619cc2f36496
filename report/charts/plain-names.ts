/**
 * ECharts keeps texts as keys of plain objects: a class that is called `__proto__` made it write into Object.prototype, which
 * broke the whole process. Such names get an invisible mark before they reach it.
 */

/** No glyph, no width. */
const MARK = '\u200b';

/** The same value with every text that objects inherit a property of marked; functions give such values too. */
export function withPlainNames<Value>(value: Value): Value {
  return plain(value) as Value;
}

function plain(value: unknown): unknown {
  if (typeof value === 'string') return value in Object.prototype ? `${value}${MARK}` : value;
  if (typeof value === 'function')
    return (...given: unknown[]): unknown => plain((value as (...given: unknown[]) => unknown)(...given));
  if (Array.isArray(value)) return value.every((each) => typeof each === 'number') ? value : value.map(plain);
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype)
    return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plain(part)]));
}
