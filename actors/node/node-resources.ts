/** Resources of a machine that can be detected without a driver library: cores, memory, NVIDIA cards. */

import { readdirSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { UserError } from '../../common/errors.ts';
import type { Resources } from '../status/status.ts';

const NVIDIA_CARDS = '/proc/driver/nvidia/gpus';

/** The cards that CUDA_VISIBLE_DEVICES leaves to this process, by their numbers or UUIDs; null if it is not set. */
export function visibleCards(variable = process.env.CUDA_VISIBLE_DEVICES): readonly string[] | null {
  if (variable === undefined) return null;
  return variable
    .split(',')
    .map((id) => id.trim())
    .filter((id) => id !== '' && id !== '-1');
}

/** Cards that the NVIDIA driver lists; 0 where there is no driver. In a container, the cards assigned to it. */
function countCards(): number {
  try {
    return readdirSync(NVIDIA_CARDS).length;
  } catch {
    return 0;
  }
}

/** Cores (`cpu`), bytes of memory (`memoryBytes`) and, where there are any, cards (`gpu`). */
export function detectResources(cards = visibleCards()): Resources {
  const gpu = cards?.length ?? countCards();
  return { cpu: availableParallelism(), memoryBytes: totalmem(), ...(gpu > 0 ? { gpu } : {}) };
}

/** @throws UserError when a node is to offer more cards than it sees: its actors would get those of others. */
export function checkCards(where: string, { gpu = 0 }: Resources, cards = visibleCards()): void {
  if (cards === null || gpu <= cards.length) return;
  const shown = `CUDA_VISIBLE_DEVICES shows ${cards.length}`;
  throw new UserError(`${where}, resources.gpu = ${gpu}: ${shown}; ask for no more, or unset the variable.`);
}
