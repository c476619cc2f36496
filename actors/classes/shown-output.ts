/**
 * Shows what the actors of a program's node print, as Ray does, so that `console.log` in an actor needs no search for its
 * log. The lines go to stderr: stdout stays the program's own.
 */

import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  statSync,
  watch,
} from 'node:fs';
import type { FSWatcher } from 'node:fs';
import { join } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import { toError } from '../../common/errors.ts';
import { LOG_ENDING } from '../base/log-files.ts';

/** Lines within this time of each other are shown together. */
const GATHER_MS = 10;
/** Of more output at a time, which nobody can read, only the last part is shown. */
const MAX_SHOWN_BYTES = 256 * 1024;
/** A longer line is shown in parts. */
const MAX_LINE_LENGTH = 16 * 1024;
/** A line of the runtime's log, which is not printed by the actor. */
const LOG_LINE = /^\{"time":"[^"]+","level":"/;

/** The output of one actor that has been shown. */
interface Shown {
  position: number;
  /** The beginning of a line that is not complete. */
  rest: string;
  readonly decoder: StringDecoder;
}

export class ShownOutput {
  readonly #folder: string;
  readonly #show: (text: string) => void;
  readonly #files = new Map<string, Shown>();
  readonly #changed = new Set<string>();
  readonly #watcher: FSWatcher | null;
  #timer: NodeJS.Timeout | null = null;

  /** Shows what is appended from now on to the logs `<actorId>.log` in `folder`; `show` receives lines. */
  constructor(folder: string, show: (text: string) => void = console.error) {
    this.#folder = folder;
    this.#show = show;
    mkdirSync(folder, { recursive: true });
    for (const name of this.#logs()) this.#files.set(name, shownUpTo(statSync(join(folder, name)).size));
    this.#watcher = this.#watch();
  }

  /** Shows the rest. */
  close(): void {
    this.#watcher?.close();
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#watcher === null) return;
    for (const name of this.#logs()) this.#showNew(name, { isLast: true });
  }

  #logs(): string[] {
    if (!existsSync(this.#folder)) return []; // removed before its program ended
    return readdirSync(this.#folder).filter((name) => name.endsWith(LOG_ENDING));
  }

  #watch(): FSWatcher | null {
    const explain = (thrown: unknown) =>
      this.#show(`The output of actors is not shown (${toError(thrown).message}); it is in ${this.#folder}.`);
    try {
      const watcher = watch(this.#folder, { persistent: false }, (_event, name) => {
        if (name?.endsWith(LOG_ENDING) === true) this.#onChange(name);
      });
      return watcher.on('error', explain);
    } catch (thrown) {
      explain(thrown); // such as the system's limit of watches
      return null;
    }
  }

  #onChange(name: string): void {
    this.#changed.add(name);
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      for (const changed of this.#changed) this.#showNew(changed);
      this.#changed.clear();
    }, GATHER_MS).unref();
  }

  #showNew(name: string, { isLast = false } = {}): void {
    const shown = this.#files.get(name) ?? shownUpTo(0);
    this.#files.set(name, shown);
    const path = join(this.#folder, name);
    const lines = (shown.rest + readNew(path, shown)).split('\n');
    shown.rest = isLast || lines.at(-1)!.length > MAX_LINE_LENGTH ? '' : lines.pop()!;
    const printed = lines.filter((line) => line !== '' && !LOG_LINE.test(line));
    const actorId = name.slice(0, -LOG_ENDING.length);
    if (printed.length > 0) this.#show(printed.map((line) => `(${actorId}) ${line}`).join('\n'));
  }
}

function shownUpTo(position: number): Shown {
  return { position, rest: '', decoder: new StringDecoder('utf8') };
}

/** The text that was appended; of too much, a note and the end. A log that is gone, or cannot be read, has none. */
function readNew(path: string, shown: Shown): string {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const { size } = fstatSync(file);
    const leftOut = Math.max(0, size - shown.position - MAX_SHOWN_BYTES);
    shown.position += leftOut;
    const bytes = Buffer.alloc(Math.max(0, size - shown.position));
    const length = readSync(file, bytes, 0, bytes.length, shown.position);
    shown.position += length;
    const text = shown.decoder.write(bytes.subarray(0, length));
    return leftOut === 0 ? text : `\n… ${leftOut} bytes are only in ${path}\n${text}`;
  } catch {
    return '';
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
