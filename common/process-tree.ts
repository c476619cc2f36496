/** Processes as /proc shows them (Linux): which descend from which, and the memory that they hold. */
import { readdirSync, readFileSync } from 'node:fs';

/** Ids of every process that descends from `pid`, children first. */
export function descendantsOf(pid: number): number[] {
  const parents = allPids().map((child) => ({ child, parent: parentOf(child) }));
  const found: number[] = [];
  for (let generation = [pid]; generation.length > 0;) {
    generation = parents
      .filter(({ parent }) => parent !== null && generation.includes(parent))
      .map(({ child }) => child);
    found.push(...generation);
  }
  return found;
}

/** Resident memory of a process, bytes; 0 when it is gone. */
export function residentBytes(pid: number): number {
  const status = readOrNull(`/proc/${pid}/status`);
  return 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(status ?? '')?.[1] ?? 0);
}

/** Samples the memory of `pid` with its descendants until `stop`, which gives the largest sum, bytes. */
export function watchMemory(pid: number, everyMs = 100): { stop(): number } {
  let peak = 0;
  const timer = setInterval(() => {
    const sum = [pid, ...descendantsOf(pid)].reduce((total, id) => total + residentBytes(id), 0);
    peak = Math.max(peak, sum);
  }, everyMs);
  return {
    stop() {
      clearInterval(timer);
      return peak;
    },
  };
}

/** Ids of all processes. */
export function allPids(): number[] {
  return readdirSync('/proc').map(Number).filter(Number.isInteger);
}

/** Null for a process that is gone, or a zombie that only waits for its parent to ask. */
function parentOf(pid: number): number | null {
  // The command's name stands in parentheses and may hold anything: read from the last one.
  const stat = readOrNull(`/proc/${pid}/stat`);
  const [state, parent] = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? [];
  return state === undefined || state === 'Z' ? null : Number(parent);
}

/** A file of /proc; null when its process has ended, or is another user's. */
export function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null; // it ended meanwhile, or is another user's
  }
}
