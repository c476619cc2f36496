/** Processes that simulate machines, or processes of one machine, in the object benchmarks. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findPlace } from '../actors/objects/shared-memory.ts';
import { answerOf } from './child-answer.ts';
import type { HostAnswer, HostRequest, HostSettings } from './object-process.ts';

const PROCESS = fileURLToPath(new URL('./object-process.js', import.meta.url));

/** One process, which handles one request at a time. */
export class Host {
  readonly #child: ChildProcess;
  /** host:port of its node. */
  readonly address: string;

  constructor(child: ChildProcess, address: string) {
    this.#child = child;
    this.address = address;
  }

  /** @throws Error when the process ends before it answers. */
  ask(request: HostRequest): Promise<HostAnswer> {
    return ask(this.#child, request);
  }

  async close(): Promise<void> {
    await this.ask({ kind: 'close' });
    this.#child.disconnect();
  }
}

function ask(child: ChildProcess, request: HostRequest): Promise<HostAnswer> {
  const answer = answerOf<HostAnswer>(child);
  child.send(request);
  return answer;
}

/** Hosts whose stores are next to each other in shared memory. */
export class HostGroup {
  readonly #folder: string;
  readonly #hosts: Host[] = [];

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async open(): Promise<HostGroup> {
    const { root } = findPlace(tmpdir(), undefined);
    return new HostGroup(await mkdtemp(join(root, 'bench-ballast-')));
  }

  async start(name: string, settings: Partial<HostSettings> = {}): Promise<Host> {
    const child = fork(PROCESS);
    const full: HostSettings = {
      name,
      nodeAddress: null,
      uploadsPerNode: 2,
      folder: this.#folder,
      ...settings,
    };
    const { address } = await ask(child, { kind: 'open', settings: full });
    const host = new Host(child, address!);
    this.#hosts.push(host);
    return host;
  }

  async close(): Promise<void> {
    await Promise.all(this.#hosts.map((host) => host.close()));
    await rm(this.#folder, { recursive: true });
  }
}
