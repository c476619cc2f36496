/**
 * The process of one case of bench/gpu.ts: `case-process.js NAME DEVICE FOLDER`. It leaves weights, inputs and its first
 * results in the folder, tells that it is ready, and then answers each request with the seconds of its runs. A process of
 * its own, because a run blocks its thread, a driver may end the process, and its memory is the case's alone.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DeviceName } from '../../common/engine-names.ts';
import { toError } from '../../common/errors.ts';
import { busBytes } from '../../tensor/device-arrays.ts';
import type { BusBytes } from '../../tensor/device-arrays.ts';
import { encodeSafetensors } from '../../tensor/safetensors.ts';
import { secondsOf } from '../comparison.ts';
import { gpuCase } from './cases.ts';

export interface Ready {
  /** Images or steps of one run, and their name. */
  readonly units: number;
  readonly unit: string;
  readonly compileSeconds: number;
}

export interface Timed {
  readonly seconds: readonly number[];
  /** Bytes over the bus in one step: a training step, or one step of a sampler. */
  readonly bus: BusBytes;
  /** Most resident memory of the process until now. */
  readonly peakBytes: number;
}

/** An answer; or why there is none. */
export type Told<T> = T | { readonly failure: string };

const [name = '', device = 'webgpu', folder = '.'] = process.argv.slice(2);

/** Sends the result, or the first line of what was thrown. */
async function tell<T extends object>(work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (thrown) {
    process.send!({ failure: toError(thrown).message.split('\n')[0]! });
    return null;
  }
}

const prepared = await tell(async () => {
  const item = gpuCase(name);
  const { units, unit, settings, tensors } = item;
  await writeFile(join(folder, `${name}.safetensors`), encodeSafetensors(tensors));
  await writeFile(join(folder, 'settings.json'), JSON.stringify({ benchmarks: { [name]: settings } }));
  const own = await item.prepare(device as DeviceName);
  await writeFile(join(folder, `ours-${name}.safetensors`), encodeSafetensors(await own.run()));
  process.send!({ units, unit, compileSeconds: own.compileSeconds } satisfies Ready);
  return own;
});

process.on('message', ({ times }: { readonly times: number }) => {
  void tell(async () => {
    const before = busBytes();
    const seconds = await secondsOf(prepared!, times);
    const after = busBytes();
    const aStep = (way: keyof BusBytes) => (after[way] - before[way]) / (times * prepared!.steps);
    const bus = { toDevice: aStep('toDevice'), fromDevice: aStep('fromDevice') };
    const answer: Timed = { seconds, bus, peakBytes: process.resourceUsage().maxRSS * 1024 };
    process.send!(answer);
    return answer;
  });
});
