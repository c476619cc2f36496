/**
 * Reports what a thread is doing through shared memory, because a thread that never returns to its event loop cannot
 * report it. The thread counts its event-loop turns and the calls in progress of each method.
 */

const MAX_METHODS = 128;
const TEXT_BYTES = 16 * 1024;
/** Positions in the header: turns, length of the names, then calls by method. */
const TURNS = 0;
const TEXT_LENGTH = 1;
const CALLS = 2;
const HEAD_BYTES = 4 * (CALLS + MAX_METHODS);

/** Interval between counted turns, milliseconds. */
const TURN_MS = 500;

/** The side of the observed thread. */
export class Activity {
  readonly memory = new SharedArrayBuffer(HEAD_BYTES + TEXT_BYTES);
  readonly #head = new Int32Array(this.memory, 0, CALLS + MAX_METHODS);
  readonly #text = new Uint8Array(this.memory, HEAD_BYTES);
  readonly #methods = new Map<string, number>();

  /** Starts to count turns; the timer keeps no process alive. */
  start(): void {
    setInterval(() => Atomics.add(this.#head, TURNS, 1), TURN_MS).unref();
  }

  /** Records that a call of a method begins (1) or ends (−1). */
  count(method: string, by: 1 | -1): void {
    const index = this.#methods.get(method) ?? this.#add(method);
    if (index < MAX_METHODS) this.#head[CALLS + index]! += by;
  }

  /** Names that do not fit are left out. */
  #add(method: string): number {
    const index = this.#methods.size;
    const name = Buffer.from(`${method}\n`);
    const length = this.#head[TEXT_LENGTH]!;
    const hasRoom = index < MAX_METHODS && length + name.length <= TEXT_BYTES;
    if (hasRoom) {
      this.#text.set(name, length);
      Atomics.store(this.#head, TEXT_LENGTH, length + name.length);
    }
    this.#methods.set(method, hasRoom ? index : MAX_METHODS);
    return hasRoom ? index : MAX_METHODS;
  }
}

/** Time since a thread last returned to its event loop, and the methods that it is running. */
export interface Beat {
  readonly busyMs: number;
  readonly methods: readonly string[];
}

/** The side of the observing thread. */
export class ActivityWatch {
  readonly #head: Int32Array;
  readonly #text: Uint8Array;
  readonly #nowMs: () => number;
  #turns = -1;
  #sinceMs = 0;

  constructor(memory: SharedArrayBuffer, nowMs: () => number = () => performance.now()) {
    this.#head = new Int32Array(memory, 0, CALLS + MAX_METHODS);
    this.#text = new Uint8Array(memory, HEAD_BYTES);
    this.#nowMs = nowMs;
  }

  look(): Beat {
    const turns = Atomics.load(this.#head, TURNS);
    const nowMs = this.#nowMs();
    if (turns !== this.#turns) {
      this.#turns = turns;
      this.#sinceMs = nowMs;
    }
    const text = Buffer.from(this.#text.slice(0, Atomics.load(this.#head, TEXT_LENGTH))).toString();
    const methods = text.split('\n').filter((name, index) => name !== '' && this.#head[CALLS + index]! > 0);
    return { busyMs: Math.round(nowMs - this.#sinceMs), methods };
  }
}
