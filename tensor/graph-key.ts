/**
 * Names of compiled graphs in the cache: a digest of everything that a compiled graph depends on.
 *
 *   - the function (named.ts), its arguments' names, shapes and types, and the built-in values;
 *   - the code that traces it: every file of tensor/, models/ and common/, the versions of tfjs and of Node (its Math);
 *   - the target of ONNX Runtime's optimisation: its version, the threads, and the processor with its features.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { codeRoot } from '../common/package-root.ts';
import type { TypedArray } from './array.ts';
import type { Program } from './program.ts';
import tf from './tf.ts';

const CODE_FOLDERS = ['common', 'models', 'tensor'];
const CODE_FILE = /(?<!\.test|\.d)\.[jt]s$/;

export interface GraphKey {
  /** SHA-256, hex. */
  readonly digest: string;
  /** Whether values are built into the graph, which then serves only one version of the weights. */
  readonly holdsValues: boolean;
}

/** Key of a program that has an identity; null for one that has none. `runtime` names the engine with its version. */
export function graphKey(
  { identity, inputs }: Pick<Program, 'identity' | 'inputs'>,
  runtime: string,
  threads: number,
): GraphKey | null {
  if (identity === null) return null;
  const parts = [
    codeDigest(),
    ...[`tfjs ${tf.version.tfjs}`, `node ${process.version}`, runtime, `${threads} threads`, processor()],
    identity,
    ...inputs.map(({ name, shape, dtype, constant }) => [
      name,
      shape,
      dtype,
      constant ? sha256(constant) : '',
    ]),
  ];
  return {
    digest: sha256(JSON.stringify(parts)),
    holdsValues: inputs.some(({ constant }) => constant !== undefined),
  };
}

let code: string | undefined;

/** Digest of the files that determine how a function becomes a graph. */
function codeDigest(): string {
  return (code ??= sha256(
    JSON.stringify(
      CODE_FOLDERS.flatMap((folder) =>
        readdirSync(join(codeRoot(), folder), { recursive: true, encoding: 'utf8' })
          .filter((name) => CODE_FILE.test(name))
          .sort()
          .map((name) => [folder, name, sha256(readFileSync(join(codeRoot(), folder, name)))]),
      ),
    ),
  ));
}

let processorName: string | undefined;

/** The processor's model and, if the system reports them, its features: virtual machines hide some. */
function processor(): string {
  return (processorName ??= `${process.platform} ${process.arch} ${cpus()[0]?.model ?? ''} ${features()}`);
}

function features(): string {
  try {
    return /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? '';
  } catch {
    return ''; // not Linux
  }
}

function sha256(content: string | Uint8Array | TypedArray): string {
  return createHash('sha256').update(content).digest('hex');
}
