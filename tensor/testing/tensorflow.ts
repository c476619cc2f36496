/** Tests that need the `tensorflow` engine: run where a tfjs-node package is installed, skipped by name elsewhere. */
import { it } from 'vitest';
import { isInstalled, PACKAGES } from '../tensorflow-binding.ts';

/** An installed package that does not load makes its tests fail, with the reason. */
export const isTensorFlowInstalled = PACKAGES.some(isInstalled);

export function itOnTensorFlow(name: string, body: () => Promise<void>): void {
  if (isTensorFlowInstalled) it(name, body);
  else it.skip(`${name} (skipped: no tfjs-node package is installed, see docs/gpu.md)`, body);
}
