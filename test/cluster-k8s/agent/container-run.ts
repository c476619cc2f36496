/** One container of a pod: started, probed, started again when it ends, and ended as the kubelet ends it. */
import { setTimeout as delay } from 'node:timers/promises';
import type { V1Container, V1ContainerState, V1ContainerStatus } from '@kubernetes/client-node';
import { toError } from '../../../common/errors.ts';
import { RuncContainer } from '../../support/k8s/runc.ts';
import { probe } from './probes.ts';

export interface ContainerHost {
  /** Prepares and starts an instance of the container. @throws Error where something that it needs is missing. */
  readonly start: (instance: number) => Promise<RuncContainer>;
  /** What an instance that has ended wrote as its termination message. */
  readonly lastWords: () => string;
  /** Address of the pod. */
  readonly address: string;
  /** Told of each change of its status. */
  readonly onChange: () => void;
}

const FIRST_WAIT_MS = 10_000;
const LONGEST_WAIT_MS = 300_000;
const RETRY_MS = 2000;

export class ContainerRun {
  readonly spec: V1Container;
  readonly #host: ContainerHost;
  readonly #ending = new AbortController();
  #instance: RuncContainer | null = null;
  #outputs: string[] = [];
  #state: V1ContainerState = { waiting: { reason: 'ContainerCreating' } };
  #last: V1ContainerState = {};
  #restarts = 0;
  #isReady = false;
  #isStarted = false;

  /** @throws Error for hooks that it does not know */
  constructor(spec: V1Container, host: ContainerHost) {
    const { postStart, preStop } = spec.lifecycle ?? {};
    if (postStart !== undefined || (preStop !== undefined && preStop.exec === undefined))
      throw new Error(`${spec.name}: only a preStop hook by command is known here`);
    this.spec = spec;
    this.#host = host;
  }

  /** Output of its instances up to now. */
  get output(): string {
    return [...this.#outputs, this.#instance?.output ?? ''].join('');
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  get exitCode(): number | null {
    return this.#state.terminated?.exitCode ?? null;
  }

  get status(): V1ContainerStatus {
    const { name, image = '' } = this.spec;
    return {
      ...{ name, image, imageID: image, ready: this.#isReady, started: this.#isStarted },
      ...{ restartCount: this.#restarts, state: this.#state, lastState: this.#last },
    };
  }

  /** Runs it, again and again where `mayRepeat` says so of an exit code; resolves with its end. */
  async run(mayRepeat: (code: number) => boolean): Promise<void> {
    for (;;) {
      const code = await this.#once();
      if (this.#ending.signal.aborted || !mayRepeat(code)) return;
      const waitMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#restarts);
      [this.#last, this.#state] = [this.#state, { waiting: { reason: 'CrashLoopBackOff' } }];
      this.#host.onChange();
      await this.#pause(waitMs);
      if (this.#ending.signal.aborted) return;
      this.#restarts++;
    }
  }

  /** Runs its hook and sends SIGTERM; SIGKILL after `graceMs`. Resolves with its end. */
  async end(graceMs: number): Promise<void> {
    this.#ending.abort();
    const instance = this.#instance;
    if (instance === null || instance.isOver) return;
    this.#isReady = false;
    const killer = setTimeout(() => instance.signal('KILL'), graceMs);
    const hook = this.spec.lifecycle?.preStop?.exec?.command;
    if (graceMs > 0 && hook !== undefined) {
      const code = await Promise.race([instance.execute(hook), instance.ended.then(() => 0)]);
      if (code !== 0) this.#outputs.push(`(the hook of ${this.spec.name} ended with ${code})\n`);
    }
    instance.signal(graceMs > 0 ? 'TERM' : 'KILL');
    await instance.ended;
    clearTimeout(killer);
  }

  async #once(): Promise<number> {
    const instance = await this.#start();
    if (instance === null) return -1;
    const startedAt = new Date();
    this.#instance = instance;
    this.#state = { running: { startedAt } };
    this.#host.onChange();
    const probes = new AbortController();
    const probing = probe(
      this.spec,
      this.#host.address,
      (command) => instance.execute(command),
      {
        onStarted: () => this.#set(() => (this.#isStarted = true)),
        onReady: (isReady) => {
          if (isReady !== this.#isReady && !this.#ending.signal.aborted)
            this.#set(() => (this.#isReady = isReady));
        },
        onDead: (why) => {
          this.#outputs.push(`(${this.spec.name} is killed: ${why})\n`);
          instance.signal('KILL');
        },
      },
      probes.signal,
    );
    const code = (await instance.ended) ?? 137;
    probes.abort();
    await probing;
    this.#outputs.push(instance.output);
    this.#instance = null;
    this.#set(() => {
      [this.#isReady, this.#isStarted] = [false, false];
      const reason = code === 0 ? 'Completed' : 'Error';
      const message = this.#host.lastWords();
      this.#state = { terminated: { exitCode: code, reason, message, startedAt, finishedAt: new Date() } };
    });
    return code;
  }

  /** Tries until it starts; null if it must end before. */
  async #start(): Promise<RuncContainer | null> {
    while (!this.#ending.signal.aborted) {
      try {
        return await this.#host.start(this.#restarts);
      } catch (thrown) {
        const message = toError(thrown).message.split('\n', 1)[0];
        this.#set(() => (this.#state = { waiting: { reason: 'CreateContainerConfigError', message } }));
        await this.#pause(RETRY_MS);
      }
    }
    return null;
  }

  #set(change: () => void): void {
    change();
    this.#host.onChange();
  }

  #pause(ms: number): Promise<void> {
    return delay(ms, undefined, { signal: this.#ending.signal }).catch(() => undefined);
  }
}
