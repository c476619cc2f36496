/**
 * References to values. They can be sent inside any value: the codec recognises them by their class, which extends a
 * view of bytes because those are the only objects for which V8 calls a custom codec. While a program can reach one,
 * its value stays; the process counts them (held-references.ts).
 */

import { inspect } from 'node:util';
import type { HeldReferences } from '../objects/held-references.ts';
import type { ObjectRef } from '../objects/object-ref.ts';

/** A reference to an object that holds a value. */
export class ValueRef<Value = unknown> extends DataView<ArrayBuffer> implements ObjectRef {
  readonly id: string;
  readonly sizeBytes: number;
  readonly digest: string;
  readonly holders: string[];
  readonly inline?: Uint8Array;
  /** For types only; never set. */
  declare readonly value?: Value;

  constructor({ id, sizeBytes, digest, holders, inline }: ObjectRef) {
    super(new ArrayBuffer(0));
    this.id = id;
    this.sizeBytes = sizeBytes;
    this.digest = digest;
    this.holders = holders;
    if (inline !== undefined && holders.length === 0) this.inline = inline;
  }

  toJSON(): ObjectRef {
    const { id, sizeBytes, digest, holders, inline } = this;
    return { id, sizeBytes, digest, holders, ...(inline && { inline }) };
  }

  [inspect.custom](): string {
    return `ValueRef(${this.id}, ${this.sizeBytes} bytes)`;
  }
}

/** Of the open runtimes of this program, the latest last; most programs have one. */
const counting: HeldReferences[] = [];

/** Counts references that arrive from elsewhere, until the returned function is called. */
export function countReferences(references: HeldReferences): () => void {
  counting.push(references);
  return () => void counting.splice(counting.indexOf(references), 1);
}

/** A reference that arrived inside a value; `transit` holds its object until the reference is counted here. */
export function receivedRef(facts: ObjectRef, transit: string): ValueRef {
  const ref = new ValueRef(facts);
  const [origin] = ref.holders;
  if (origin === undefined) return ref;
  const references = counting.find(({ nodeAddress }) => nodeAddress === origin) ?? counting.at(-1);
  references?.track(ref, ref, transit);
  return ref;
}

/** Resolves when the nodes know every reference that has arrived so far; null when they already do. */
export function referencesSettled(): Promise<unknown> | null {
  const telling = counting.map((references) => references.settled()).filter((one) => one !== null);
  return telling.length === 0 ? null : Promise.all(telling);
}
