/** Memory in use on the cards of this machine, by all programs: the difference of two readings is what came between. */
import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const DRM = '/sys/class/drm';
const NVIDIA = ['--query-gpu=memory.used', '--format=csv,noheader,nounits'];

/** Bytes on all cards together; null where no driver tells (NVIDIA's and AMD's do). */
export async function deviceMemoryBytes(): Promise<number | null> {
  return (await nvidiaBytes()) ?? (await amdBytes());
}

async function nvidiaBytes(): Promise<number | null> {
  try {
    const { stdout } = await promisify(execFile)('nvidia-smi', NVIDIA, { timeout: 10_000 });
    const mebibytes = stdout.trim().split('\n').map(Number);
    return mebibytes.every(Number.isFinite) ? total(mebibytes) * 2 ** 20 : null;
  } catch {
    return null; // not installed, or without a card
  }
}

async function amdBytes(): Promise<number | null> {
  try {
    const cards = (await readdir(DRM)).filter((name) => /^card\d+$/.test(name));
    const readings = await Promise.all(
      cards.map((card) =>
        readFile(join(DRM, card, 'device', 'mem_info_vram_used'), 'utf8').catch(() => null),
      ),
    );
    const bytes = readings.filter((text) => text !== null).map(Number);
    return bytes.length === 0 ? null : total(bytes);
  } catch {
    return null; // no such folder
  }
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
