/**
 * Removes the remains of killed nodes. A store's folder records the process that created it; when that process no
 * longer runs, the folder is removed. Process ids are reused and differ between containers, so the start time and the
 * pid namespace count too: a folder from another namespace is left alone.
 */

import { readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode } from '../../common/errors.ts';

const OWNER_FILE = 'owner.json';
const FOLDER = /^ballast-(spill-)?[A-Za-z0-9_-]+$/;
/** A folder without a note may have been created this instant. */
const UNMARKED_GRACE_MS = 60_000;

export interface ProcessIdentity {
  readonly pid: number;
  /** In clock ticks since boot; null where the system does not report it. */
  readonly startTicks: string | null;
  /** Identifies the pid namespace of `pid`; null where the system has only one. */
  readonly namespace: string | null;
}

function orNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}

function startTicksOf(pid: number): string | null {
  // Fields after the command's name, which is in parentheses and may contain anything; the start time is field 22 of
  // all.
  const stat = orNull(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
}

function namespaceOf(): string | null {
  return orNull(() => readlinkSync('/proc/self/ns/pid'));
}

export function identityOf(pid: number): ProcessIdentity {
  return { pid, startTicks: startTicksOf(pid), namespace: namespaceOf() };
}

/** Whether that process has certainly ended. */
export function hasEnded(identity: ProcessIdentity): boolean {
  if (identity.namespace !== namespaceOf()) return false;
  try {
    process.kill(identity.pid, 0);
  } catch (thrown) {
    return errorCode(thrown) === 'ESRCH';
  }
  return identity.startTicks !== null && startTicksOf(identity.pid) !== identity.startTicks;
}

/** Records in a folder that it belongs to this process. */
export function markOwned(folder: string): void {
  writeFileSync(join(folder, OWNER_FILE), JSON.stringify(identityOf(process.pid)), { mode: 0o600 });
}

/** Removes the store folders in `root` whose processes have ended. Returns their names. */
export function removeLeftovers(root: string): string[] {
  const names = (orNull(() => readdirSync(root)) ?? []).filter((name) => FOLDER.test(name));
  return names.filter((name) => {
    const folder = join(root, name);
    if (!isLeftover(folder)) return false;
    return orNull(() => rmSync(folder, { recursive: true, force: true })) !== null;
  });
}

function isLeftover(folder: string): boolean {
  const stat = statSync(folder, { throwIfNoEntry: false });
  if (!stat?.isDirectory() || stat.uid !== process.getuid?.()) return false;
  const json = orNull(() => readFileSync(join(folder, OWNER_FILE), 'utf8'));
  if (json === null) return Date.now() - stat.mtimeMs > UNMARKED_GRACE_MS;
  const identity = orNull(() => JSON.parse(json) as ProcessIdentity);
  return identity === null || hasEnded(identity);
}
