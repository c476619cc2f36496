/**
 * Finds and loads tfjs-node, the binding of TensorFlow to tfjs, once per process: `@tensorflow/tfjs-node-gpu` if it
 * loads, otherwise `@tensorflow/tfjs-node`. Importing one makes it tfjs's backend; this module undoes that, so other
 * engines and plain tfjs code are unaffected.
 */
import { createRequire } from 'node:module';
import util from 'node:util';
import { toError, UserError } from '../common/errors.ts';
import { registerConvolutions } from './tensorflow-convolution.ts';
import type { TensorFlowBackend } from './tensorflow-convolution.ts';
import tf from './tf.ts';

export const PACKAGES = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'] as const;
const BACKEND = 'tensorflow';

export interface TensorFlow {
  /** Package, versions of package and library, and the device. */
  readonly description: string;
  /** Runs `body`, which must be synchronous, with TensorFlow as tfjs's backend. */
  readonly activate: <T>(body: () => T) => T;
}

/** The part of a tfjs-node package that is used here. */
interface TfjsNode {
  readonly Tensor: unknown;
  readonly version: Readonly<Record<string, string>>;
}

let loaded: Promise<TensorFlow> | undefined;

/**
 * TensorFlow with `threads` threads inside one operation. The first call decides for the process;
 * TF_NUM_INTRAOP_THREADS and TF_NUM_INTEROP_THREADS take precedence. Throws UserError if neither package loads.
 */
export function loadTensorFlow(threads: number): Promise<TensorFlow> {
  return (loaded ??= load(threads));
}

async function load(threads: number): Promise<TensorFlow> {
  prepareProcess(threads);
  const { name, module } = await importFirst(PACKAGES);
  const backend = tf.findBackend(BACKEND) as unknown as TensorFlowBackend;
  registerConvolutions(backend);
  const device = backend.isUsingGpuDevice ? 'gpu' : 'cpu';
  const version = module.version['tfjs-node'];
  return {
    description: `${name} ${version}, TensorFlow ${backend.binding.TF_Version}, ${device}`,
    activate: (body) => keepingBackend(() => (setBackend(BACKEND), body())),
  };
}

/** Settings that tfjs-node reads from its process when it loads. */
function prepareProcess(threads: number): void {
  process.env['TF_NUM_INTRAOP_THREADS'] ??= String(threads);
  process.env['TF_NUM_INTEROP_THREADS'] ??= '1';
  // Trainer and workers share a GPU: none of them may reserve all of its memory.
  process.env['TF_FORCE_GPU_ALLOW_GROWTH'] ??= 'true';
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2'; // only errors, without the greeting
  // tfjs-node 4.22 calls these; newer versions of Node warn about them, or no longer have them.
  const legacy = util as unknown as Record<string, unknown>;
  legacy['isNullOrUndefined'] = (value: unknown) => value === null || value === undefined;
  legacy['isArray'] = Array.isArray;
}

/** The first package that loads. Throws UserError with every package's reason if none does. */
export async function importFirst(
  names: readonly string[],
): Promise<{ readonly name: string; readonly module: TfjsNode }> {
  const reasons: string[] = [];
  for (const name of names) {
    if (!isInstalled(name)) {
      reasons.push(`${name}: not installed`);
      continue;
    }
    try {
      return { name, module: await importPackage(name) };
    } catch (thrown) {
      forgetBackend(); // a package may fail after it registered itself
      reasons.push(`${name}: ${firstLine(toError(thrown).message)}`);
    }
  }
  throw new UserError(
    `engine 'tensorflow' needs ${names.join(' or ')}, and none loads (${reasons.join('; ')}): see docs/gpu.md`,
  );
}

export function isInstalled(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch {
    return false;
  }
}

async function importPackage(name: string): Promise<TfjsNode> {
  const previous = tf.getBackend();
  try {
    const module = ((await import(name)) as { default: TfjsNode }).default;
    if (module.Tensor !== tf.Tensor)
      throw new Error('it uses another copy of @tensorflow/tfjs than Ballast does; npm dedupe joins them');
    return module;
  } finally {
    setBackend(previous || 'cpu');
  }
}

function keepingBackend<T>(body: () => T): T {
  const previous = tf.getBackend();
  try {
    return body();
  } finally {
    setBackend(previous);
  }
}

function forgetBackend(): void {
  if (tf.findBackendFactory(BACKEND)) tf.removeBackend(BACKEND);
}

/** Takes effect before it returns: no backend here starts asynchronously. */
function setBackend(name: string): void {
  void tf.setBackend(name);
}

function firstLine(text: string): string {
  return text.split('\n')[0]!.trim();
}
