/**
 * A Vulkan driver that computes on the CPU, so that WebGPU can be tested without a GPU: SwiftShader, which Debian's
 * chromium brings with a Vulkan loader.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const CHROMIUM = '/usr/lib/chromium';
const DRIVER = join(CHROMIUM, 'vk_swiftshader_icd.json');
const FILES = [DRIVER, join(CHROMIUM, 'libvk_swiftshader.so'), join(CHROMIUM, 'libvulkan.so.1')];

/** Added to a test's name where it cannot run; empty where it can. */
export const noSoftwareVulkan =
  process.platform === 'linux' && FILES.every((file) => existsSync(file))
    ? ''
    : ` (skipped: no ${DRIVER}; to have it: apt-get install chromium)`;

/** Environment of a process that is to find this driver and no other. */
export function softwareVulkan(): Record<string, string> {
  if (noSoftwareVulkan !== '') return {};
  // VK_ICD_FILENAMES is the name that older loaders know.
  return { VK_DRIVER_FILES: DRIVER, VK_ICD_FILENAMES: DRIVER, LD_LIBRARY_PATH: CHROMIUM };
}
