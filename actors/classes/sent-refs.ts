/**
 * References in a value that is about to be sent: their objects are held for the value until its receiver holds them.
 */

import type { HeldReferences } from '../objects/held-references.ts';
import type { Sending } from './value-codec.ts';
import type { ValueRef } from './value-ref.ts';

export class SentRefs implements Sending {
  readonly #references: HeldReferences;
  readonly #refs: ValueRef[] = [];
  #transit = '';

  constructor(references: HeldReferences) {
    this.#references = references;
  }

  get count(): number {
    return this.#refs.length;
  }

  onRef(ref: ValueRef): string {
    this.#transit ||= this.#references.newTransit();
    this.#refs.push(ref);
    return this.#transit;
  }

  /** For a value that is read once, and soon. @throws CallError */
  async hold(): Promise<void> {
    if (this.#refs.length > 0) await this.#references.send(this.#refs, this.#transit);
  }

  /** For a value inside an object: the hold lasts as long as the object. @throws CallError */
  async holdFor(holder: string): Promise<void> {
    if (this.#refs.length > 0) await this.#references.holdFor(this.#refs, holder);
  }
}
