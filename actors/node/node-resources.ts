/** Resources of a machine that can be detected without a driver library: cores, memory, NVIDIA cards. */

import { readdirSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import type { Resources } from '../status/status.ts';

const NVIDIA_CARDS = '/proc/driver/nvidia/gpus';

/** Cards that the NVIDIA driver lists; 0 where there is no driver. In a container, the cards assigned to it. */
function countGpus(): number {
  const visible = process.env.CUDA_VISIBLE_DEVICES;
  if (visible !== undefined) return visible.split(',').filter((id) => id !== '' && id !== '-1').length;
  try {
    return readdirSync(NVIDIA_CARDS).length;
  } catch {
    return 0;
  }
}

/** Cores (`cpu`), bytes of memory (`memoryBytes`) and, where there are any, cards (`gpu`). */
export function detectResources(): Resources {
  const gpu = countGpus();
  return { cpu: availableParallelism(), memoryBytes: totalmem(), ...(gpu > 0 ? { gpu } : {}) };
}
