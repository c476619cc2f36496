/**
 * `checkpoints/`: the holder of the run, and its committed epochs. Two coordinators may work in one folder for a while
 * (one was paused, its node was lost, its volume was mounted twice); these rules prevent damage:
 *
 * - No two writers share a path: each attempt at an epoch has a separate folder, `epoch-003.<token>-<n>/`.
 * - An epoch is committed by creating `epoch-003.json` in full and exclusively (`link`): one wins, permanently. Commits are
 *   never removed, so a writer that slept for ten epochs still finds that it lost.
 * - `holder.json` names the coordinator that started last. The others stop at their next check.
 *
 * A run's epochs are the same bit for bit on every coordinator, so a lost race costs only its own folder.
 */
import { createHash, randomUUID } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorCode, UserError } from '../../common/errors.ts';
import { writeFileAtomic, writeFileExclusive } from '../../common/files.ts';
import { parseJsonObject } from '../../common/json-file.ts';
import { digestFiles, type FileDigests, findDamaged } from './checkpoint-digests.ts';
import { decodeRunState, encodeRunState, INITIAL_RUN_STATE, type RunState } from './run-state.ts';

/** Checkpoints kept: the latest, and the one before in case the latest is damaged. */
const KEPT_CHECKPOINTS = 2;
const COMMIT = /^epoch-(\d+)\.json$/;
/** Folders of attempts; without a token those of earlier versions. */
const ATTEMPT = /^epoch-(\d+)(\.[\w-]+-\d+)?$/;

const STATE_FILE = 'coordinator.json';

/** The content of an epoch's commit file. */
export interface Commit {
  readonly epoch: number;
  /** Folder in `checkpoints/`. */
  readonly folder: string;
  /** Of the classifier's parameters; null for epochs of an earlier version. */
  readonly weightsDigest: string | null;
  /** Of the files in `folder`; absent for epochs of an earlier version. */
  readonly files?: FileDigests;
}

/** One attempt's folder. */
export interface Attempt {
  readonly folder: string;
  /** Where the trainer writes its half. */
  readonly trainerDir: string;
}

/** Another coordinator has taken the run over. */
export class Replaced extends UserError {
  constructor(dir: string) {
    super(`${dir}: another coordinator has taken this run over; this one stops and leaves the run to it`);
  }
}

export class Checkpoints {
  readonly #dir: string;
  readonly #token: string;
  #attempts = 0;

  /** `token` names this process in the folder. */
  constructor(dir: string, token = randomUUID().slice(0, 8)) {
    this.#dir = dir;
    this.#token = token;
  }

  /** From now on this process holds the run, and no other. */
  async claim(): Promise<void> {
    const holder = { token: this.#token, pid: process.pid, since: new Date().toISOString() };
    await writeFileAtomic(this.#holderPath, `${JSON.stringify(holder)}\n`);
  }

  async isHolder(): Promise<boolean> {
    const text = await readOrNull(this.#holderPath);
    if (text === null) return false;
    const advice = 'delete it and resume the run';
    return parseJsonObject(text, this.#holderPath, advice)['token'] === this.#token;
  }

  /** @throws Replaced when another process began after this one. */
  async checkHolder(): Promise<void> {
    if (!(await this.isHolder())) throw new Replaced(dirname(this.#dir));
  }

  /** A folder for one attempt at an epoch; no other attempt, of this process or another, gets the same. */
  begin(epoch: number): Attempt {
    const folder = `${epochName(epoch)}.${this.#token}-${++this.#attempts}`;
    return { folder, trainerDir: join(this.#dir, folder, 'trainer') };
  }

  /**
   * Commits `state.epoch`, whose trainer half is written. Resolves with the committed state: this one, or, where another
   * writer was quicker, its own of the same bits. @throws Replaced when another process holds the run.
   */
  async commit(state: RunState, folder: string, weightsDigest: string): Promise<RunState> {
    await writeFileAtomic(join(this.#dir, folder, STATE_FILE), encodeRunState(state));
    const files = await digestFiles(join(this.#dir, folder));
    const commit: Commit = { epoch: state.epoch, folder, weightsDigest, files };
    const isHolder = await this.isHolder();
    if (isHolder && (await writeFileExclusive(this.#commitPath(state.epoch), `${JSON.stringify(commit)}\n`)))
      return state;
    const winner = await this.#readCommit(state.epoch);
    if (winner?.folder === folder) return state; // a network volume may carry an act out and answer that it failed
    await rm(join(this.#dir, folder), { recursive: true, force: true });
    if (winner !== null && winner.weightsDigest !== weightsDigest)
      throw new UserError(
        `${this.#commitPath(state.epoch)}: another process committed this epoch with other weights ` +
          `(${winner.weightsDigest}, here ${weightsDigest}); resume the run to continue from there`,
      );
    await this.checkHolder();
    return this.#stateOf(winner!);
  }

  /** State after the last committed epoch; the initial state when there is none. */
  async readState(): Promise<RunState> {
    const last = await this.lastCommit();
    return last === null ? INITIAL_RUN_STATE : this.#stateOf(last);
  }

  /** Null when no epoch is committed. */
  async lastCommit(): Promise<Commit | null> {
    const epochs = (await namesIn(this.#dir)).flatMap((name) => epochOf(COMMIT, name) ?? []);
    return epochs.length === 0 ? this.#earlierVersion() : this.#readCommit(Math.max(...epochs));
  }

  /**
   * Folder of the trainer's half of a committed epoch, to continue from. @throws UserError if a file of the checkpoint
   * has changed since its commit.
   */
  async trainerDir(epoch: number): Promise<string> {
    const last = await this.lastCommit();
    const commit = last?.epoch === epoch ? last : await this.#readCommit(epoch);
    if (commit === null) throw new Error(`${this.#dir}: epoch ${epoch} is not committed`);
    const dir = join(this.#dir, commit.folder);
    const damaged = await findDamaged(dir, commit.files ?? {});
    if (damaged !== null) throw this.#changed(damaged, epoch);
    return join(dir, 'trainer');
  }

  /** Removes the checkpoints that are no longer kept, and the remains of attempts that were never committed. */
  async prune(epoch: number): Promise<void> {
    const kept = new Set<string>();
    for (let e = Math.max(1, epoch - KEPT_CHECKPOINTS + 1); e <= epoch; e++)
      kept.add((await this.#readCommit(e))?.folder ?? epochName(e));
    for (const name of await namesIn(this.#dir)) {
      const of = epochOf(ATTEMPT, name);
      if (of !== null && of <= epoch && !kept.has(name))
        await rm(join(this.#dir, name), { recursive: true, force: true });
    }
  }

  async #stateOf({ epoch, folder, files }: Commit): Promise<RunState> {
    const path = join(this.#dir, folder, STATE_FILE);
    const text = await readOrNull(path);
    if (text === null)
      throw new UserError(`${path} is missing; the checkpoint cannot be used: ${this.#advice(epoch)}`);
    const digest = files?.[STATE_FILE];
    if (digest !== undefined && createHash('sha256').update(text).digest('hex') !== digest)
      throw this.#changed(path, epoch);
    return decodeRunState(text, path);
  }

  #changed(path: string, epoch: number): UserError {
    return new UserError(
      `${path} is damaged: it is not what epoch ${epoch} committed; ${this.#advice(epoch)}`,
    );
  }

  #advice(epoch: number): string {
    return `delete ${this.#commitPath(epoch)} to continue from the epoch before`;
  }

  async #readCommit(epoch: number): Promise<Commit | null> {
    const path = this.#commitPath(epoch);
    const text = await readOrNull(path);
    if (text === null) return null;
    const commit = parseJsonObject(text, path, this.#advice(epoch));
    if (isCommit(commit, epoch)) return commit;
    throw new UserError(
      `${path} is damaged: it names no checkpoint of epoch ${epoch}; ${this.#advice(epoch)}`,
    );
  }

  /** Folders of earlier versions have `latest.json` and `epoch-003/`; the next commit is of this version. */
  async #earlierVersion(): Promise<Commit | null> {
    const text = await readOrNull(join(this.#dir, 'latest.json'));
    if (text === null) return null;
    const path = join(this.#dir, 'latest.json');
    const { epoch } = parseJsonObject(text, path, 'start the run again with --overwrite');
    if (typeof epoch !== 'number' || !Number.isInteger(epoch) || epoch < 1)
      throw new UserError(`${path} is damaged: it names no epoch; start the run again with --overwrite`);
    return { epoch, folder: epochName(epoch), weightsDigest: null };
  }

  get #holderPath(): string {
    return join(this.#dir, 'holder.json');
  }

  #commitPath(epoch: number): string {
    return join(this.#dir, `${epochName(epoch)}.json`);
  }
}

/** Whether a commit file is valid, with its folder beside it. */
function isCommit(value: object, epoch: number): value is Commit {
  const { epoch: of, folder, weightsDigest, files = {} } = value as Partial<Commit>;
  return (
    of === epoch &&
    typeof folder === 'string' &&
    epochOf(ATTEMPT, folder) === epoch &&
    (weightsDigest === null || typeof weightsDigest === 'string') &&
    typeof files === 'object' &&
    Object.values(files).every((digest) => typeof digest === 'string')
  );
}

/** `epoch-003`. */
export function epochName(epoch: number): string {
  return `epoch-${String(epoch).padStart(3, '0')}`;
}

function epochOf(pattern: RegExp, name: string): number | null {
  const match = pattern.exec(name);
  return match === null ? null : Number(match[1]);
}

/** Removes what killed writers left half written in a folder; a replaced writer that still runs fails. */
export async function removeHalfWritten(dir: string): Promise<void> {
  for (const name of await namesIn(dir))
    if (/^\..*\.tmp$/.test(name)) await rm(join(dir, name), { force: true });
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (thrown) {
    if (errorCode(thrown) === 'ENOENT') return [];
    throw thrown;
  }
}

export async function readOrNull(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (thrown) {
    if (errorCode(thrown) === 'ENOENT') return null;
    throw thrown;
  }
}
