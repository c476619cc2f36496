/**
 * Injected faults for reliability tests: connections between two processes break and lose what was in flight, or are
 * slow, by a seeded schedule. Off unless the variable is set.
 */

import { UserError } from '../../../common/errors.ts';

/** `{"seed":1,"break":0.01,"delay":0.1,"delayMs":200}`: probabilities per frame, and the longest delay. */
export const FAULTS_KEY = 'BALLAST_TRANSPORT_FAULTS';

export interface FaultOptions {
  readonly seed: number;
  /** Probability in [0, 1] that a frame is lost, and the connection with it. */
  readonly break: number;
  /** Probability in [0, 1] that a frame, and all that follow it on its connection, are delayed. */
  readonly delay: number;
  /** Longest delay, milliseconds. */
  readonly delayMs: number;
}

const NO_FAULTS: FaultOptions = { seed: 0, break: 0, delay: 0, delayMs: 0 };

/** The fault that hits a frame. */
export type Fault = { readonly kind: 'break' } | { readonly kind: 'delay'; readonly delayMs: number };

/** Reads the variable; null when it is not set. @throws UserError when it is malformed. */
export function readFaultOptions(
  environment: Readonly<Record<string, string | undefined>>,
): FaultOptions | null {
  const json = environment[FAULTS_KEY];
  if (json === undefined || json === '') return null;
  const wrong = (why: string) => new UserError(`${FAULTS_KEY}=${json}: ${why}`);
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw wrong('it must be JSON');
  }
  const given = { ...NO_FAULTS, ...(value as Partial<FaultOptions>) };
  for (const [key, part] of Object.entries(given)) {
    if (!Object.hasOwn(NO_FAULTS, key)) throw wrong(`there is no ${key}`);
    if (typeof part !== 'number' || !(part >= 0)) throw wrong(`${key} must be a number, 0 or more`);
  }
  return given;
}

/** One process's schedule of faults. */
export class Faults {
  readonly #options: FaultOptions;
  #state: number;

  constructor(options: FaultOptions) {
    this.#options = options;
    this.#state = Math.imul(options.seed + 1, 0x9e3779b1) >>> 0 || 1;
  }

  /** The next frame's fault; null for none. */
  next(): Fault | null {
    const { delay, delayMs } = this.#options;
    if (this.#random() < this.#options.break) return { kind: 'break' };
    return this.#random() < delay ? { kind: 'delay', delayMs: this.#random() * delayMs } : null;
  }

  /** xorshift32, in [0, 1). */
  #random(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state / 2 ** 32;
  }
}
