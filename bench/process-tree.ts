/** Memory of a process and all its descendants, from /proc. */
import { readdirSync, readFileSync } from 'node:fs';

/** Resident bytes of `root` and what descends from it, pages that several share counted for each. 0 where there is no /proc. */
export function residentBytes(root: number): number {
  const children = new Map<number, number[]>();
  const resident = new Map<number, number>();
  for (const { pid, parent, bytes } of listProcesses()) {
    children.set(parent, [...(children.get(parent) ?? []), pid]);
    resident.set(pid, bytes);
  }
  const sum = (pid: number): number =>
    (children.get(pid) ?? []).reduce((total, child) => total + sum(child), resident.get(pid) ?? 0);
  return sum(root);
}

function listProcesses(): { pid: number; parent: number; bytes: number }[] {
  const names = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return names.flatMap((name) => {
    const status = readStatus(name);
    const field = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
    return status === '' ? [] : [{ pid: Number(name), parent: field('PPid'), bytes: field('VmRSS') * 1024 }];
  });
}

/** Empty for a process that has just ended. */
function readStatus(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    return '';
  }
}
