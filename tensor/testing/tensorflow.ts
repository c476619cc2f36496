/** Tests that need the `tensorflow` engine: run where a tfjs-node package is installed, skipped by name elsewhere. */
import { createRequire } from 'node:module';
import { it } from 'vitest';
import { PACKAGES } from '../tensorflow-binding.ts';

/** An installed package that does not load makes its tests fail, with the reason. */
export const isTensorFlowInstalled = PACKAGES.some(isInstalled);

export function itOnTensorFlow(name: string, body: () => Promise<void>): void {
  if (isTensorFlowInstalled) it(name, body);
  else it.skip(`${name} (skipped: no tfjs-node package is installed, see docs/gpu.md)`, body);
}

function isInstalled(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch {
    return false;
  }
}
