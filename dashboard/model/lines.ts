/**
 * JSON lines of a file that grows, or is replaced by a longer one with the same beginning (metrics.jsonl): each line is
 * parsed once. A half-written last line waits; a damaged line is left out and counted.
 */
import { open } from 'node:fs/promises';
import { errorCode } from '../../common/errors.ts';

/** Bytes before the position that must be as they were for the file to count as the same. */
const GUARD_BYTES = 256;
const CHUNK_BYTES = 1 << 20;
/** A longer line is left out: no record is that long. */
const MAX_LINE_BYTES = 256 << 20;

export interface NewLines {
  /** Whether the file is another one than before: what was read is void. */
  readonly isReset: boolean;
  readonly values: readonly unknown[];
}

export class GrowingLines {
  readonly #path: string;
  #position = 0;
  #guard: Buffer = Buffer.alloc(0);
  #isNew = true;
  /** Lines that were no JSON. */
  damaged = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** Reads the lines added since the last call. A missing file counts as empty. */
  async read(): Promise<NewLines> {
    let file;
    try {
      file = await open(this.#path, 'r');
    } catch (thrown) {
      if (errorCode(thrown) !== 'ENOENT' && errorCode(thrown) !== 'ENOTDIR') throw thrown;
      return this.#restart([]);
    }
    try {
      const { size } = await file.stat();
      const guard = Buffer.alloc(this.#guard.length);
      const start = this.#position - guard.length;
      const isSame =
        size >= this.#position &&
        (await file.read(guard, 0, guard.length, start)).bytesRead === guard.length &&
        guard.equals(this.#guard);
      if (!isSame) {
        this.#position = 0;
        this.#guard = Buffer.alloc(0);
      }
      const values: unknown[] = [];
      let rest: Buffer = Buffer.alloc(0);
      for (let at = this.#position; at < size;) {
        const chunk = Buffer.alloc(Math.min(CHUNK_BYTES, size - at));
        const { bytesRead } = await file.read(chunk, 0, chunk.length, at);
        if (bytesRead === 0) break;
        at += bytesRead;
        rest = this.#split(Buffer.concat([rest, chunk.subarray(0, bytesRead)]), values);
      }
      if (!isSame) return this.#restart(values);
      const isReset = this.#isNew;
      this.#isNew = false;
      return { isReset, values };
    } finally {
      await file.close();
    }
  }

  /** Parses the whole lines; gives what is left over. */
  #split(bytes: Buffer, values: unknown[]): Buffer {
    const end = bytes.lastIndexOf(10) + 1;
    if (end > 0) {
      for (const line of bytes.toString('utf8', 0, end).split('\n'))
        if (line.trim() !== '') this.#parse(line, values);
      this.#position += end;
      this.#guard = Buffer.concat([this.#guard, bytes.subarray(0, end)]).subarray(-GUARD_BYTES);
    }
    const rest = bytes.subarray(end);
    return rest.length > MAX_LINE_BYTES ? Buffer.alloc(0) : rest;
  }

  #parse(line: string, values: unknown[]): void {
    try {
      values.push(JSON.parse(line));
    } catch {
      this.damaged++;
    }
  }

  #restart(values: unknown[]): NewLines {
    const isReset = this.#position > 0 || values.length > 0 || this.#isNew;
    if (values.length === 0) {
      this.#position = 0;
      this.#guard = Buffer.alloc(0);
    }
    this.#isNew = false;
    return { isReset, values };
  }
}
