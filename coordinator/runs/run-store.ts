/** The coordinator's run folders: `<root>/<run id>/run.json` beside what every run folder holds. */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, toError, UserError } from '../../common/errors.ts';
import { ensureDirectory, writeFailure, writeFileAtomic } from '../../common/files.ts';
import type { Log } from '../../common/log.ts';
import { refuseForeignFolder } from '../../common/private-file.ts';
import { readOrNull } from '../records/checkpoints.ts';
import { decodeRecord, encodeRecord, isRunId, type RunRecord } from './run-record.ts';

const RECORD_FILE = 'run.json';
/** Begins the names of folders that are being deleted. */
const DOOMED = '.deleted-';

export class RunStore {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  dirOf(id: string): string {
    return join(this.#root, id);
  }

  /** All runs. A run whose record cannot be read is logged and left alone. */
  async readAll(log: Log): Promise<RunRecord[]> {
    refuseForeignFolder(this.#root);
    await ensureDirectory(this.#root);
    const names = await readdir(this.#root);
    for (const name of names.filter((name) => name.startsWith(DOOMED)))
      await rm(join(this.#root, name), { recursive: true, force: true });
    const records = await Promise.all(names.filter(isRunId).map((name) => this.#read(name, log)));
    return records.filter((record) => record !== null);
  }

  async #read(id: string, log: Log): Promise<RunRecord | null> {
    const path = join(this.dirOf(id), RECORD_FILE);
    try {
      const text = await readOrNull(path);
      const record = text === null ? null : decodeRecord(text, path);
      if (record === null || record.id === id) return record;
      throw new UserError(`${path}: is the record of the run '${record.id}', which has a folder of its name`);
    } catch (thrown) {
      log.error('a run cannot be read, and is not shown', { run: id, error: toError(thrown).message });
      return null;
    }
  }

  /** Makes the run's folder. Resolves to false when one of its name is there. */
  async create(record: RunRecord): Promise<boolean> {
    const dir = this.dirOf(record.id);
    try {
      await mkdir(dir);
    } catch (thrown) {
      if (errorCode(thrown) === 'EEXIST') return false;
      throw writeFailure(dir, thrown);
    }
    try {
      await this.write(record);
    } catch (thrown) {
      await rm(dir, { recursive: true, force: true });
      throw thrown;
    }
    return true;
  }

  /**
   * Deletes the run's folder. It is renamed first, to a name that no run can have, so that a crash in between leaves no
   * half of a run; `readAll` finishes what was begun.
   */
  async delete(id: string): Promise<void> {
    const doomed = join(this.#root, `${DOOMED}${id}-${randomUUID()}`);
    try {
      await rename(this.dirOf(id), doomed);
    } catch (thrown) {
      if (errorCode(thrown) !== 'ENOENT') throw writeFailure(this.dirOf(id), thrown);
      return;
    }
    await rm(doomed, { recursive: true, force: true });
  }

  /** Deletes the folder of a run whose record cannot be read. Resolves to false where there is no record. */
  async deleteUnreadable(id: string): Promise<boolean> {
    if (!existsSync(join(this.dirOf(id), RECORD_FILE))) return false;
    await this.delete(id);
    return true;
  }

  async write(record: RunRecord): Promise<void> {
    await writeFileAtomic(join(this.dirOf(record.id), RECORD_FILE), encodeRecord(record));
  }
}
