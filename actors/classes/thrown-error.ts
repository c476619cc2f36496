/**
 * Encodes what a method threw as bytes, and restores it as an error in the caller's process: its class by name,
 * message, code, extra fields, causes, and the original stack. Custom classes are restored where the caller knows them.
 */

import { UserError } from '../../common/errors.ts';
import { ActorError, CallError } from '../base/call-errors.ts';
import { decodeValue, encodeValue } from './value-codec.ts';

/** Error classes that a caller can receive: any class that `instanceof` accepts. */
export type ErrorClass = abstract new (...args: never[]) => Error;

interface ErrorFacts {
  readonly name: string;
  /** The name of its class, which `name` need not be; absent from older processes, as `errors`. */
  readonly className?: string;
  /** Those of an AggregateError. */
  readonly errors?: readonly Said[];
  readonly message: string;
  readonly stack: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly cause: Said | null;
}

type Said = { readonly error: ErrorFacts } | { readonly value: unknown };

const MAX_CAUSES = 8;
/** Errors of an AggregateError; one of them may itself have as many. */
const MAX_ERRORS = 16;
const ERRORS_DEPTH = MAX_CAUSES / 2;
const MAX_STACK_LENGTH = 8000;
/** A failure travels in one message of a stream. */
const MAX_BYTES = 256 * 1024;
const OWN_FIELDS = new Set(['name', 'message', 'stack', 'cause', '__proto__', 'constructor', 'prototype']);
const BUILT_IN: readonly ErrorClass[] = [
  ...[Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError, AggregateError],
  ...[CallError, ActorError],
  UserError,
];

export function encodeThrown(thrown: unknown): Uint8Array {
  const bytes = encodeValue(sayThrown(thrown, 0), 'An error');
  if (bytes.byteLength <= MAX_BYTES) return bytes;
  const { name, message } = thrown instanceof Error ? thrown : new Error('a value that is too large');
  const className = classNameOf(thrown);
  const facts = {
    name,
    className,
    message: message.slice(0, MAX_STACK_LENGTH),
    stack: '',
    fields: {},
    cause: null,
  };
  return encodeValue({ error: facts }, 'An error');
}

function sayThrown(thrown: unknown, depth: number): Said {
  if (!(thrown instanceof Error)) return { value: clonable(thrown) };
  const { stack = '', cause } = thrown;
  const [name, message] = [String(thrown.name), String(thrown.message)];
  const className = classNameOf(thrown);
  const fields = Object.entries(thrown).filter(([key, value]) => !OWN_FIELDS.has(key) && isClonable(value));
  return {
    error: {
      ...{
        name,
        className,
        message,
        stack: stack.slice(0, MAX_STACK_LENGTH),
        fields: Object.fromEntries(fields),
      },
      cause: cause === undefined || depth >= MAX_CAUSES ? null : sayThrown(cause, depth + 1),
      ...(thrown instanceof AggregateError && depth < MAX_CAUSES && { errors: sayErrors(thrown, depth) }),
    },
  };
}

function sayErrors({ errors }: AggregateError, depth: number): Said[] {
  return errors.slice(0, MAX_ERRORS).map((each) => sayThrown(each, depth + ERRORS_DEPTH));
}

function classNameOf(thrown: unknown): string {
  const { constructor } = thrown instanceof Error ? thrown : new Error();
  return typeof constructor === 'function' ? constructor.name : 'Error';
}

function isClonable(value: unknown): boolean {
  try {
    encodeValue(value, 'A field');
    return true;
  } catch {
    return false;
  }
}

function clonable(value: unknown): unknown {
  return isClonable(value) ? value : String(value);
}

/**
 * The error that a caller receives; `where` becomes the last line of its stack. `classes` are the program's own. A
 * thrown value that is not an error is returned unchanged.
 */
export function decodeThrown(bytes: Uint8Array, classes: readonly ErrorClass[], where: string): unknown {
  return thrownOf(decodeValue(bytes), classes, where, 0);
}

function thrownOf(said: unknown, classes: readonly ErrorClass[], where: string, depth: number): unknown {
  if (typeof said !== 'object' || said === null || !('error' in said)) {
    return typeof said === 'object' && said !== null && 'value' in said ? said.value : said;
  }
  const facts = said.error as Partial<ErrorFacts> | null;
  const name = text(facts?.name, 'Error');
  const message = text(facts?.message, '');
  const known = knownClass(classes, name, text(facts?.className, name));
  const error = new Error(message);
  if (known !== undefined) Object.setPrototypeOf(error, known.prototype as object);
  const define = (key: string, value: unknown, enumerable = false) =>
    Object.defineProperty(error, key, { value, enumerable, writable: true, configurable: true });
  if (error.name !== name) define('name', name);
  for (const [key, value] of Object.entries(facts?.fields ?? {})) {
    if (!OWN_FIELDS.has(key)) define(key, value, true);
  }
  define('stack', `${printable(text(facts?.stack, `${name}: ${message}`))}\n    at ${where}`);
  if (facts?.cause && depth <= MAX_CAUSES) {
    define('cause', thrownOf(facts.cause, classes, where, depth + 1));
  }
  if (error instanceof AggregateError) {
    const errors = Array.isArray(facts?.errors) && depth < MAX_CAUSES ? facts.errors : [];
    const decoded = errors
      .slice(0, MAX_ERRORS)
      .map((each) => thrownOf(each, classes, where, depth + ERRORS_DEPTH));
    define('errors', decoded);
  }
  return error;
}

/** The program's class, then the built-in one, that has the class's name, otherwise the one with the error's name. */
function knownClass(classes: readonly ErrorClass[], name: string, className: string): ErrorClass | undefined {
  const find = (list: readonly ErrorClass[]) =>
    list.find((each) => each.name === className) ??
    list.find(({ name: own, prototype }) => {
      const named = prototype as { name?: unknown };
      return own === name || (Object.hasOwn(named, 'name') && named.name === name);
    });
  return find(classes) ?? find(BUILT_IN);
}

function text(value: unknown, otherwise: string): string {
  return typeof value === 'string' ? value : otherwise;
}

/** Stacks are printed: they must not contain terminal control sequences. */
function printable(stack: string): string {
  return stack.replace(/[^\P{Cc}\n]/gu, '\uFFFD');
}
