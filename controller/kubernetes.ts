/**
 * The controller's interface to the API server: reads, watches and writes objects of one namespace. The library loads
 * slowly, so this file is imported only by a controller that starts.
 */
import { hostname } from 'node:os';
import {
  CoreV1Api,
  CustomObjectsApi,
  KubeConfig,
  PatchStrategy,
  setHeaderOptions,
  type KubernetesListObject,
  type KubernetesObject,
} from '@kubernetes/client-node';
import { toError, UserError } from '../common/errors.ts';
import { KindWatch } from './kind-watch.ts';
import { ConflictError, type ObjectListeners, type ObjectStore, type ObjectWatch } from './object-store.ts';
import type { RunEvent } from './run-events.ts';
import { FINALISER, GROUP, KIND, PLURAL, type Status, type SynthesisRun, VERSION } from './synthesis-run.ts';

const NO_CLUSTER = 'http://localhost:8080';
const RETRY_MS = 5000;
const NOT_FOUND = 404;
const CONFLICT = 409;

/** The store of `namespace`, or of the one in the cluster's credentials. @throws UserError if no cluster is named. */
export function openObjects(namespace: string | undefined): ObjectStore {
  const config = new KubeConfig();
  try {
    config.loadFromDefault({}, true);
  } catch (thrown) {
    throw new UserError(
      `no cluster: the Kubernetes configuration cannot be read (${toError(thrown).message})`,
      {
        cause: thrown,
      },
    );
  }
  // The library falls back to this address when it finds no configuration.
  if ((config.getCurrentCluster()?.server ?? NO_CLUSTER) === NO_CLUSTER)
    throw new UserError(
      'no cluster: set KUBECONFIG to a file with a current context, or run in a pod with a service account',
    );
  const context = config.getContextObject(config.getCurrentContext());
  return new ClusterObjects(config, namespace ?? context?.namespace ?? 'default');
}

class ClusterObjects implements ObjectStore {
  readonly namespace: string;
  readonly #config: KubeConfig;
  readonly #api: CustomObjectsApi;
  readonly #core: CoreV1Api;

  constructor(config: KubeConfig, namespace: string) {
    this.namespace = namespace;
    this.#config = config;
    this.#api = config.makeApiClient(CustomObjectsApi);
    this.#core = config.makeApiClient(CoreV1Api);
  }

  async get(name: string): Promise<SynthesisRun | null> {
    return unlessGone(() => this.#api.getNamespacedCustomObject(this.#named(name)) as Promise<SynthesisRun>);
  }

  async writeStatus({ metadata }: SynthesisRun, status: Status): Promise<SynthesisRun | null> {
    const { name, resourceVersion } = metadata;
    const request = { ...this.#named(name), body: { metadata: { resourceVersion }, status } };
    return unlessGone(
      () => this.#api.patchNamespacedCustomObjectStatus(request, MERGE) as Promise<SynthesisRun>,
    );
  }

  async writeHold({ metadata }: SynthesisRun, isHeld: boolean): Promise<void> {
    const others = (metadata.finalizers ?? []).filter((finaliser) => finaliser !== FINALISER);
    const finalizers = isHeld ? [...others, FINALISER] : others;
    const { name, resourceVersion } = metadata;
    const request = { ...this.#named(name), body: { metadata: { resourceVersion, finalizers } } };
    await unlessGone(() => this.#api.patchNamespacedCustomObject(request, MERGE));
  }

  /** By the older of the two kinds of events: `kubectl describe` sorts by times that only that one has. */
  async writeEvent({ metadata }: SynthesisRun, { type, reason, note }: RunEvent): Promise<void> {
    const { name, namespace, uid, resourceVersion } = metadata;
    const now = new Date();
    const body = {
      metadata: { generateName: `${name}-`, namespace },
      involvedObject: {
        apiVersion: `${GROUP}/${VERSION}`,
        kind: KIND,
        name,
        namespace,
        uid,
        resourceVersion,
      },
      ...{ type, reason, message: note, firstTimestamp: now, lastTimestamp: now, count: 1 },
      source: { component: 'ballast-controller', host: hostname() },
    };
    await unlessGone(() => this.#core.createNamespacedEvent({ namespace, body }));
  }

  watch({ onChange, onConnection }: ObjectListeners): ObjectWatch {
    const path = `/apis/${GROUP}/${VERSION}/namespaces/${this.namespace}/${PLURAL}`;
    const list = () =>
      this.#api.listNamespacedCustomObject(this.#all()) as Promise<KubernetesListObject<KubernetesObject>>;
    const watch = new KindWatch<KubernetesObject>(
      this.#config,
      { path, list },
      {
        see: ({ metadata }) => onChange(metadata?.name ?? ''),
        lose: ({ metadata }) => onChange(metadata?.name ?? ''),
        onFailure: (thrown) => onConnection(describe(thrown)),
        onSuccess: () => onConnection(null),
      },
      RETRY_MS,
    );
    return {
      list: () =>
        watch.list().map((object) => ({
          name: object.metadata?.name ?? '',
          phase: (object as Partial<SynthesisRun>).status?.phase,
        })),
      stop: () => watch.stop(),
    };
  }

  #all() {
    return { group: GROUP, version: VERSION, namespace: this.namespace, plural: PLURAL };
  }

  #named(name: string) {
    return { ...this.#all(), name };
  }
}

const MERGE = setHeaderOptions('Content-Type', PatchStrategy.MergePatch);

/** Awaits `request`; null if the object does not exist (any more). @throws ConflictError, or Error in one line. */
async function unlessGone<Value>(request: () => Promise<Value>): Promise<Value | null> {
  try {
    return await request();
  } catch (thrown) {
    if (codeOf(thrown) === NOT_FOUND) return null;
    const KindOfError = codeOf(thrown) === CONFLICT ? ConflictError : Error;
    throw new KindOfError(`Kubernetes: ${describe(thrown)}`, { cause: thrown });
  }
}

/** The library's errors contain whole responses as messages, which include the server's own sentence. */
function describe(thrown: unknown): string {
  const { body } = thrown as { body?: unknown };
  const text = typeof body === 'string' ? sentenceIn(body) : null;
  if (codeOf(thrown) === NOT_FOUND)
    return `the server does not know ${PLURAL}.${GROUP}: apply k8s/chart/crds (kubectl apply --server-side -f)`;
  return text ?? toError(thrown).message.split('\n', 1)[0]!;
}

function sentenceIn(body: string): string | null {
  try {
    const { message } = JSON.parse(body) as { message?: unknown };
    return typeof message === 'string' ? message : null;
  } catch {
    return null;
  }
}

function codeOf(thrown: unknown): number | undefined {
  const { code, statusCode } = thrown as { code?: unknown; statusCode?: unknown };
  return [code, statusCode].find((each): each is number => typeof each === 'number');
}
