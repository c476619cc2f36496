/**
 * One process to a run folder, on any machine: `run.lock` names the process that works in it, its host, and counts
 * up while it lives. On the same host the process id tells whether the holder lives. On another the count does: it is
 * watched for a while, so that no two clocks are compared. A lock whose holder is gone (killed, power lost) does not count.
 *
 * A holder that was paused or cut off for so long that another took its lock is kept from the run by its commits
 * (docs/decisions/0016), not by this.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type FileHandle, link, open, readFile, rename, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { errorCode, UserError } from '../../common/errors.ts';
import { writeFailure, writeFileExclusive } from '../../common/files.ts';

export const LOCK_NAME = 'run.lock';

export interface LockOptions {
  /** This machine; another one's process ids mean nothing here. */
  readonly host?: string;
  /** Milliseconds from one count to the next. */
  readonly beatMs?: number;
  /** Milliseconds after which a holder on another host that does not count is gone. */
  readonly silenceMs?: number;
}

interface Holder {
  readonly pid: number;
  readonly host: string;
  readonly beat: number;
}

const BEAT_MS = 3000;
const SILENCE_MS = 5 * BEAT_MS;
/** Digits of a count: it is written over in place, at one length. */
const BEAT_DIGITS = 12;

/** Throws UserError when a living process works in `dir`. Takes up to 15 s when one of another host is gone. */
export async function refuseLocked(dir: string, options: LockOptions = {}): Promise<void> {
  const path = join(dir, LOCK_NAME);
  const holder = await holderIn(path);
  if (holder === null) return removeLeft(path, null);
  const { pid, host } = holder;
  if (host === (options.host ?? thisHost())) {
    if (pid !== process.pid && isAlive(pid))
      throw new UserError(
        `${dir}: process ${pid} is working in this folder; wait for it or choose another with --out ` +
          `(if ${pid} is not a Ballast process, remove ${LOCK_NAME} there)`,
      );
  } else if (await counts(path, holder, options)) {
    throw new UserError(
      `${dir}: process ${pid} on ${nameOf(host)} is working in this folder; wait for it or choose another with --out`,
    );
  }
  await removeLeft(path, holder);
}

/** Takes the folder for this process; returns what gives it back. Throws UserError when another has it. */
export async function lockRunFolder(dir: string, options: LockOptions = {}): Promise<() => Promise<void>> {
  const { host = thisHost(), beatMs = BEAT_MS } = options;
  const path = join(dir, LOCK_NAME);
  const own = { pid: process.pid, host };
  while (!(await writeFileExclusive(path, encode({ ...own, beat: 0 })))) await refuseLocked(dir, options);
  const stopCounting = await count(path, own, beatMs);
  return async () => {
    await stopCounting();
    const holder = await holderIn(path);
    if (holder?.pid === own.pid && holder.host === own.host) await rm(path, { force: true });
  };
}

/** Counts up in the file that is there now: if another takes the lock, that one's file is never touched. */
async function count(path: string, own: Omit<Holder, 'beat'>, beatMs: number): Promise<() => Promise<void>> {
  const file: FileHandle = await open(path, 'r+');
  let writing: Promise<unknown> = Promise.resolve();
  let beat = 0;
  const timer = setInterval(() => {
    beat++;
    // A count that cannot be written now (on a full disk, say) may be written the next time.
    writing = writing.then(() => file.write(encode({ ...own, beat }), 0)).catch(() => undefined);
  }, beatMs).unref();
  return async () => {
    clearInterval(timer);
    await writing;
    await file.close();
  };
}

/** Whether the holder still counts, or another process has the lock by now. */
async function counts(path: string, { beat, pid, host }: Holder, options: LockOptions): Promise<boolean> {
  const { beatMs = BEAT_MS, silenceMs = SILENCE_MS } = options;
  for (const endMs = performance.now() + silenceMs; performance.now() < endMs;) {
    await delay(beatMs / 4);
    const now = await holderIn(path);
    if (now === null) return false; // given back
    if (now.beat !== beat || now.pid !== pid || now.host !== host) return true;
  }
  return false;
}

/** Removes a lock whose holder is gone, and no other: of two concurrent callers, one may already hold the next lock. */
async function removeLeft(path: string, gone: Holder | null): Promise<void> {
  const aside = `${path}.${randomUUID()}.tmp`;
  try {
    await rename(path, aside);
  } catch (thrown) {
    if (errorCode(thrown) === 'ENOENT') return; // another was quicker
    throw writeFailure(path, thrown);
  }
  const moved = await holderIn(aside);
  const isGone = moved === null || (moved.pid === gone?.pid && moved.host === gone.host);
  if (!isGone) await link(aside, path).catch(() => undefined); // it was taken meanwhile: put back
  await rm(aside, { force: true });
}

function encode({ pid, host, beat }: Holder): string {
  return `${JSON.stringify({ pid, host, beat: String(beat).padStart(BEAT_DIGITS, '0') })}\n`;
}

/** Null if there is no lock, or none that names its holder. */
async function holderIn(path: string): Promise<Holder | null> {
  try {
    const { pid, host, beat } = JSON.parse(await readFile(path, 'utf8')) as Partial<
      Record<keyof Holder, unknown>
    >;
    const isHolder = typeof pid === 'number' && pid > 0 && typeof host === 'string';
    return isHolder ? { pid, host, beat: Number(beat) } : null;
  } catch (thrown) {
    const isNone = ['ENOENT', 'ENOTDIR'].includes(errorCode(thrown) ?? '');
    if (isNone || thrown instanceof SyntaxError) return null;
    throw thrown;
  }
}

/** The host's name, and what tells its boots apart: ids of processes from before mean nothing. */
export function thisHost(): string {
  return `${hostname()}/${bootId()}`;
}

function nameOf(host: string): string {
  return host.split('/')[0]!;
}

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return ''; // not Linux
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0); // asks, sends nothing
    return true;
  } catch (thrown) {
    return errorCode(thrown) === 'EPERM'; // alive, another user's
  }
}
