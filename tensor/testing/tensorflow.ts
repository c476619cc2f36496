/**
 * Tests that need the `tensorflow` engine: they run if a tfjs-node package is installed, and are otherwise skipped by
 * name.
 */
import { it } from 'vitest';
import { isInstalled, PACKAGES } from '../tensorflow-binding.ts';

/** A package that is installed but does not load makes its tests fail, with the reason. */
export const isTensorFlowInstalled = PACKAGES.some(isInstalled);

export function itOnTensorFlow(name: string, body: () => Promise<void>): void {
  if (isTensorFlowInstalled) it(name, body);
  else it.skip(`${name} (skipped: no tfjs-node package is installed, see docs/gpu.md)`, body);
}
