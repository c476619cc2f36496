/** Whether a Vulkan driver is installed, which costs nothing to see; whether it works, gpu-trial.ts finds out. */
import { existsSync, readdirSync } from 'node:fs';

/** Folders in which the Vulkan loader looks for drivers (Khronos, LoaderDriverInterface), if no variable names them. */
const DRIVER_FOLDERS = [
  '/etc/vulkan/icd.d',
  '/usr/local/etc/vulkan/icd.d',
  '/usr/local/share/vulkan/icd.d',
  '/usr/share/vulkan/icd.d',
];
/** Drivers that compute on the CPU (Mesa's lavapipe) are named so. */
const SOFTWARE = /^lvp_/;

/** True as well for drivers that a variable of the Vulkan loader names. */
export function hasVulkanDriver(env: NodeJS.ProcessEnv = process.env, folders = DRIVER_FOLDERS): boolean {
  const named = env['VK_DRIVER_FILES'] ?? env['VK_ICD_FILENAMES'] ?? '';
  if (named !== '') return named.split(':').some((file) => existsSync(file));
  return folders.some((folder) => driversIn(folder).some((name) => !SOFTWARE.test(name)));
}

function driversIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => name.endsWith('.json'));
  } catch {
    return []; // no such folder
  }
}
