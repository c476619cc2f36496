/** One pod on its node, from its binding to its deletion: containers, volumes, an address; its status as a kubelet reports it. */
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type CoreV1Api,
  PatchStrategy,
  setHeaderOptions,
  type V1Container,
  type V1Pod,
  type V1PodCondition,
  type V1PodStatus,
} from '@kubernetes/client-node';
import type { IContainer } from 'kubernetes-models/v1/Container';
import { expanded } from '../../support/k8s/containers.ts';
import { imageOf, inUnits } from '../../support/k8s/local-pod.ts';
import { RuncContainer } from '../../support/k8s/runc.ts';
import type { Host } from '../../support/network.ts';
import { ContainerRun } from './container-run.ts';
import { environmentOf, makeVolumes, mountsOf, type PodPlace } from './pod-files.ts';

export interface PodContext {
  readonly api: CoreV1Api;
  readonly apiServer: PodPlace['apiServer'];
  readonly host: Host;
  /** Of all pods. */
  readonly folder: string;
  readonly hosts: string;
  readonly onFailure: (pod: string, thrown: unknown) => void;
}

const MERGE = setHeaderOptions('Content-Type', PatchStrategy.MergePatch);
const DEFAULT_MEMORY = '1Gi';
/** Of what a container says at its end. */
const MAX_MESSAGE = 4096;
/** Before a status that could not be written is written again. */
const RETRY_MS = 1000;

export class PodRun {
  readonly name: string;
  readonly host: Host;
  /** Resolves when nothing of it is left. */
  readonly over: Promise<void>;
  readonly #context: PodContext;
  readonly #place: PodPlace;
  readonly #inits: readonly ContainerRun[];
  readonly #containers: readonly ContainerRun[];
  readonly #startTime = new Date();
  #pod: V1Pod;
  #isInitialised = false;
  #isOver = false;
  #ending: Promise<void> | null = null;
  #told = Promise.resolve();
  #lastTold = '';

  /** Begins. */
  constructor(pod: V1Pod, context: PodContext) {
    this.#pod = pod;
    this.#context = context;
    this.name = pod.metadata!.name!;
    this.host = context.host;
    const { api, apiServer, hosts } = context;
    const folder = join(context.folder, `pod-${pod.metadata!.uid!}`);
    this.#place = { api, apiServer, hosts, folder, address: context.host.address };
    mkdirSync(folder, { recursive: true });
    const run = (container: V1Container) =>
      new ContainerRun(container, {
        start: (instance) => this.#start(container, instance),
        lastWords: () => readFileSync(this.#messageFile(container), 'utf8').slice(0, MAX_MESSAGE),
        address: context.host.address,
        onChange: () => this.#tell(),
      });
    this.#inits = (pod.spec?.initContainers ?? []).map(run);
    this.#containers = pod.spec!.containers.map(run);
    this.over = this.#live();
  }

  /** Output of its containers, by name. */
  get outputs(): Readonly<Record<string, string>> {
    return Object.fromEntries(
      [...this.#inits, ...this.#containers].map((one) => [one.spec.name, one.output]),
    );
  }

  /** Takes a newer version of the object; one that is being deleted ends the pod, within its grace. */
  see(pod: V1Pod): void {
    this.#pod = pod;
    const { deletionTimestamp, deletionGracePeriodSeconds = 30 } = pod.metadata ?? {};
    if (deletionTimestamp !== undefined) void this.end(deletionGracePeriodSeconds);
  }

  /** Ends all containers; at once with 0. The first call decides. */
  end(graceSeconds: number): Promise<void> {
    return (this.#ending ??= this.#endAll(graceSeconds));
  }

  async #endAll(graceSeconds: number): Promise<void> {
    const all = [...this.#inits, ...this.#containers];
    await Promise.all(all.map((container) => container.end(graceSeconds * 1000)));
  }

  async #live(): Promise<void> {
    const { restartPolicy = 'Always' } = this.#pod.spec ?? {};
    this.#tell();
    for (const init of this.#inits) {
      await init.run((code) => code !== 0 && restartPolicy !== 'Never');
      if (this.#ending !== null || init.exitCode !== 0) break;
    }
    this.#isInitialised = this.#ending === null && this.#inits.every(({ exitCode }) => exitCode === 0);
    if (this.#isInitialised) {
      const mayRepeat = (code: number) =>
        restartPolicy === 'Always' || (restartPolicy === 'OnFailure' && code !== 0);
      await Promise.all(this.#containers.map((container) => container.run(mayRepeat)));
    }
    await this.#ending;
    this.#isOver = true;
    this.#tell();
    await this.#told;
    if (this.#ending !== null) await this.#remove();
    rmSync(this.#place.folder, { recursive: true, force: true });
  }

  async #start(container: V1Container, instance: number): Promise<RuncContainer> {
    const folders = await makeVolumes(this.#pod, this.#place);
    const environment = await environmentOf(container, this.#pod, this.#place);
    const image = imageOf(container as IContainer);
    const command = [...(container.command ?? image.entrypoint), ...(container.args ?? [])];
    const message = this.#messageFile(container);
    writeFileSync(message, '');
    chmodSync(message, 0o666);
    return new RuncContainer({
      id: `${this.name}-${container.name}-${this.#pod.metadata!.uid!.slice(0, 8)}-${instance}`,
      ...{ hostname: this.name, network: this.host.namespace, folder: this.#place.folder, environment },
      command: command.map((text) => expanded(text, environment)),
      mounts: mountsOf(container, folders, { hosts: this.#place.hosts, message }),
      memoryBytes: inUnits(container.resources?.limits?.memory ?? DEFAULT_MEMORY),
    });
  }

  /** Where a container may say why it ended. */
  #messageFile({ name }: V1Container): string {
    return join(this.#place.folder, `${name}-termination-log`);
  }

  /** The object goes for good: nothing of the pod is left. */
  async #remove(): Promise<void> {
    const { name, namespace, uid } = this.#pod.metadata!;
    try {
      // With a body, the parameters of the address do not count.
      const body = { gracePeriodSeconds: 0, preconditions: { uid: uid! } };
      await this.#context.api.deleteNamespacedPod({ name: name!, namespace: namespace!, body });
    } catch (thrown) {
      this.#context.onFailure(this.name, thrown);
    }
  }

  /** Writes the status where it has changed, one after the other. */
  #tell(): void {
    this.#told = this.#told.then(async () => {
      const status = this.#status();
      const text = JSON.stringify(status, (key, value: unknown) =>
        key === 'lastTransitionTime' ? '' : value,
      );
      if (text === this.#lastTold) return;
      const { name, namespace } = this.#pod.metadata!;
      try {
        const request = { name: name!, namespace: namespace!, body: { status } };
        await this.#context.api.patchNamespacedPodStatus(request, MERGE);
        this.#lastTold = text;
      } catch (thrown) {
        this.#context.onFailure(this.name, thrown);
        if (!this.#isOver) setTimeout(() => this.#tell(), RETRY_MS).unref();
      }
    });
  }

  #status(): V1PodStatus {
    const isReady = this.#isInitialised && this.#containers.every((container) => container.isReady);
    const initialised: [string, boolean] = ['Initialized', this.#isInitialised];
    const own = [initialised, ['ContainersReady', isReady], ['Ready', isReady]] as const;
    const others = (this.#pod.status?.conditions ?? []).filter(({ type }) =>
      own.every(([name]) => name !== type),
    );
    const { address } = this.host;
    return {
      ...{ phase: this.#phase(), podIP: address, podIPs: [{ ip: address }], hostIP: address },
      startTime: this.#startTime,
      conditions: [...others, ...own.map(([type, isTrue]) => this.#condition(type, isTrue))],
      initContainerStatuses: this.#inits.map(({ status }) => status),
      containerStatuses: this.#containers.map(({ status }) => status),
    };
  }

  #condition(type: string, isTrue: boolean): V1PodCondition {
    const status = isTrue ? 'True' : 'False';
    const former = this.#pod.status?.conditions?.find((condition) => condition.type === type);
    const lastTransitionTime = former?.status === status ? former.lastTransitionTime : new Date();
    return { type, status, lastTransitionTime };
  }

  #phase(): string {
    if (this.#isOver)
      return [...this.#inits, ...this.#containers].every(({ exitCode }) => exitCode === 0)
        ? 'Succeeded'
        : 'Failed';
    const hasStarted = this.#containers.some(({ status }) => status.state?.waiting === undefined);
    return this.#isInitialised && hasStarted ? 'Running' : 'Pending';
  }
}
