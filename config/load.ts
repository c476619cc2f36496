/** Reads configuration files (YAML or JSON) and remembers the line of each field, so that messages can name it. */
import { type Document, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { readBounded } from '../common/bounded-file.ts';
import { errorCode, toError, UserError } from '../common/errors.ts';
import { isPlainObject, isWritten, mergeConfig, type PlainObject } from './merge.ts';
import type { FieldPath, Locate } from './validation.ts';

/** Bytes of a configuration file. */
const MAX_CONFIG_BYTES = 2 ** 20;

/** A user's configuration, and the position of each of its fields. */
export interface ConfigSource {
  readonly values: PlainObject;
  readonly locate: Locate;
}

/** Reads a YAML or JSON file. Throws UserError with the file (and line) when it is missing or not well-formed. */
export async function loadConfigFile(path: string): Promise<ConfigSource> {
  try {
    const text = (await readBounded(path, MAX_CONFIG_BYTES)).toString('utf8');
    return parseConfigText(text, path);
  } catch (thrown) {
    if (errorCode(toError(thrown).cause) !== 'ENOENT') throw thrown;
    throw new UserError(`${path}: cannot read the configuration: there is no such file`, { cause: thrown });
  }
}

/** Parses the text of a YAML or JSON file; `path` is only for messages. Throws UserError as `loadConfigFile`. */
export function parseConfigText(text: string, path: string): ConfigSource {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, merge: true });
  const problem = document.errors[0];
  if (problem) {
    const { line, col } = lines.linePos(problem.pos[0]);
    throw new UserError(`${path}:${line}:${col}: not valid ${kindOf(path)}: ${problem.message}`);
  }
  const values = valuesOf(document, path);
  if (!isPlainObject(values))
    throw new UserError(`${path}: a configuration is a group of fields (data, method, training, …)`);
  return { values, locate: (field) => place(path, lines, document.contents, field) };
}

/** @throws UserError for aliases that expand to far more than the text. */
function valuesOf(document: Document, path: string): unknown {
  try {
    return document.toJS() ?? {};
  } catch (thrown) {
    throw new UserError(`${path}: not valid ${kindOf(path)}: ${toError(thrown).message}`, { cause: thrown });
  }
}

/** `flags` (from the command line) merged over a file, or alone. */
export function layerFlags(file: ConfigSource | null, flags: PlainObject): ConfigSource {
  if (!file) return { values: flags, locate: () => 'command line' };
  return {
    values: mergeConfig(file.values, flags),
    locate: (path) => (path.length > 0 && isWritten(flags, path) ? 'command line' : file.locate(path)),
  };
}

/** `file:line` of the innermost part of `field` that the file holds. */
function place(path: string, lines: LineCounter, contents: unknown, field: FieldPath): string {
  let node = contents;
  let offset: number | undefined;
  for (const part of field) {
    const step = child(node, part);
    if (!step) break;
    offset = step.offset ?? offset;
    node = step.node;
  }
  return offset === undefined ? path : `${path}:${lines.linePos(offset).line}`;
}

function child(
  node: unknown,
  part: string | number,
): { node: unknown; offset: number | undefined } | undefined {
  if (isMap(node)) {
    const pair = node.items.find(({ key }) => isScalar(key) && key.value === part);
    return pair && { node: pair.value, offset: (pair.key as Node).range?.[0] };
  }
  if (isSeq(node) && typeof part === 'number' && part < node.items.length) {
    const item = node.items[part] as Node | null;
    return { node: item, offset: item?.range?.[0] };
  }
  return undefined;
}

function kindOf(path: string): string {
  return path.endsWith('.json') ? 'JSON' : 'YAML';
}
