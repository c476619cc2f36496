/**
 * Faults on purpose, for tests of reliability: what two processes say to each other is lost, doubled or late, by a
 * seeded schedule. Off unless the variable is set.
 */

import { UserError } from '../../../common/errors.ts';

/** `{"seed":1,"drop":0.02,"duplicate":0.02,"delay":0.1,"delayMs":200}`: probabilities, and the longest delay. */
export const FAULTS_KEY = 'BALLAST_TRANSPORT_FAULTS';

export interface FaultOptions {
  readonly seed: number;
  /** Probabilities in [0, 1]. */
  readonly drop: number;
  readonly duplicate: number;
  readonly delay: number;
  /** Longest delay, milliseconds. */
  readonly delayMs: number;
}

/** Reads the variable; null when it is not set. @throws UserError when it is not as described. */
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
  const given = { seed: 0, drop: 0, duplicate: 0, delay: 0, delayMs: 0, ...(value as Partial<FaultOptions>) };
  for (const [key, part] of Object.entries(given)) {
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

  /** Sends once, twice, later or never. */
  apply(send: () => void): void {
    const { drop, duplicate, delay, delayMs } = this.#options;
    if (this.#random() < drop) return;
    if (this.#random() < duplicate) send();
    if (this.#random() < delay) setTimeout(send, this.#random() * delayMs);
    else send();
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
