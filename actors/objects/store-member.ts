/** One process as a user of its node's object store. */

import type { ObjectServiceClient } from '../../gen/ballast/runtime/v1/ObjectService.ts';
import { serviceCalls, type Transport } from '../calls/transport.ts';
import type { Calls } from '../proto/protos.ts';
import { objectService } from '../proto/runtime-services.ts';

/** The node's description of its store. */
interface Home {
  readonly nodeId: string;
  /** Number of this process in the node. */
  readonly session: number;
  readonly folder: string;
  readonly capacityBytes: number;
}

export class StoreMember {
  /** Owner of the process's objects: actor id and incarnation, as `trainer/1`. */
  readonly owner: string;
  /** host:port of the node. */
  readonly nodeAddress: string;
  readonly transport: Transport;
  readonly node: Calls<ObjectServiceClient>;
  /** Maximum bytes that the node keeps in memory; 0 until it has been asked. */
  capacityBytes = 0;
  #home: Promise<Home> | null = null;

  constructor(owner: string, nodeAddress: string, transport: Transport) {
    this.owner = owner;
    this.nodeAddress = nodeAddress;
    this.transport = transport;
    this.node = serviceCalls(objectService, transport, nodeAddress);
  }

  /** The place of the store; requested once. @throws CallError */
  join(): Promise<Home> {
    this.#home ??= this.#ask();
    return this.#home;
  }

  async #ask(): Promise<Home> {
    try {
      const home = await this.node.join({ owner: this.owner });
      this.capacityBytes = home.capacityBytes;
      return home;
    } catch (thrown) {
      this.#home = null;
      throw thrown;
    }
  }
}
