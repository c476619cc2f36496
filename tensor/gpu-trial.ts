/**
 * Tries a GPU in a process of its own (gpu-trial-main.ts), which a broken driver may end without harm. The Vulkan loader
 * tells that process which adapter it opens; ONNX Runtime has no way to ask.
 */
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { join } from 'node:path';
import { toError } from '../common/errors.ts';
import { bundleRoot } from '../common/package-root.ts';
import { plainText } from '../common/plain-text.ts';

export type GpuName = 'webgpu' | 'cuda';

export type Trial =
  /** In one line. */
  | { readonly failure: string }
  | {
      /** Name of the adapter; null if the driver does not tell. */
      readonly adapter: string | null;
      /** Milliseconds of the trial's convolution on the GPU and on one core of the CPU; 0 in an untimed trial. */
      readonly gpuMs: number;
      readonly cpuMs: number;
    };

/** The trial's last line of output. */
export type TrialResult = { readonly failure: string } | { readonly gpuMs: number; readonly cpuMs: number };

const LIMIT_MS = 60_000;
const ADAPTER = /Using "([^"]+)" with driver/;

/** Runs a small graph on the GPU; if `isTimed`, a convolution on both as well. Never throws. */
export async function tryGpu(name: GpuName, { isTimed }: { readonly isTimed: boolean }): Promise<Trial> {
  const entry = join(bundleRoot(), 'tensor', 'gpu-trial-main.js');
  const child = spawn(process.execPath, [entry, name, isTimed ? 'timed' : 'untimed'], {
    env: { ...process.env, VK_LOADER_DEBUG: 'driver' },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LIMIT_MS,
  });
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(toError(error).message));
    child.once('close', (code, signal) => resolve(describeEnd(code, signal, child.killed)));
  });
  const [end, output, told] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  const result = parse(output) ?? { failure: end };
  if ('failure' in result) return { failure: plainText(result.failure.split('\n')[0]!) };
  const adapter = ADAPTER.exec(told)?.[1];
  return { ...result, adapter: adapter === undefined ? null : plainText(adapter) };
}

function describeEnd(code: number | null, signal: NodeJS.Signals | null, isOverdue: boolean): string {
  return isOverdue
    ? `its trial was not over after ${LIMIT_MS / 1000} s`
    : `its trial ended with ${signal ?? `code ${code}`}`;
}

function parse(output: string): TrialResult | null {
  try {
    return JSON.parse(output.trim().split('\n').at(-1)!) as TrialResult;
  } catch {
    return null; // it ended before it could say anything
  }
}
