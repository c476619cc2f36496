/**
 * KEDA in a cluster of processes: the objects of its own release, and its operator and metrics server (test/cluster-k8s/build.sh),
 * each on a machine of a test network as in a pod of its own. Its admission webhooks are left out.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Host } from '../network.ts';
import { type Issued, issueCertificate } from './certificates.ts';
import { type ApiServer, type Cluster, type Launched, launch, stopAll, whyNot } from './control-plane.ts';
import { KEDA_MODULE, moduleFolder, PINS } from './modules.ts';
import { type KubeObject, readObjects } from './objects.ts';

const NAMESPACE = 'keda';
const OPERATOR = 'keda-operator';
const METRICS = 'keda-metrics-apiserver';
const PORTS = { operator: 9666, metrics: 6443 } as const;

/** Why KEDA cannot run here; null where it can. */
export function whyNoKeda(): string | null {
  return whyNot(['keda-operator', 'keda-adapter']);
}

export interface KedaOptions {
  readonly server: ApiServer;
  /** Of a test network that reaches the API server and Prometheus. */
  readonly hosts: readonly [operator: Host, metrics: Host];
  readonly folder: string;
}

export class Keda {
  readonly #programs: readonly Launched[];

  private constructor(programs: readonly Launched[]) {
    this.#programs = programs;
  }

  /** Resolves when the API server has external metrics from it. */
  static async start({ server, hosts: [operator, metrics], folder }: KedaOptions): Promise<Keda> {
    mkdirSync(folder, { recursive: true });
    const service = `${OPERATOR}.${NAMESPACE}.svc`;
    const files = issueCertificate(join(folder, 'certificates'), {
      ...{ name: service, dnsNames: [`${METRICS}.${NAMESPACE}.svc`] },
    });
    const objects = [...kedaObjects(files), sliceOf(metrics)];
    writeFileSync(
      join(folder, 'keda.json'),
      JSON.stringify({ kind: 'List', apiVersion: 'v1', items: objects }),
    );
    const { cluster } = server;
    await cluster.run('apply', '--server-side', '-f', join(folder, 'keda.json'));
    const config = server.configOf(NAMESPACE, OPERATOR);
    const environment = {
      ...{ KUBECONFIG: config, WATCH_NAMESPACE: '' },
      ...{ POD_NAMESPACE: NAMESPACE, KEDA_CLUSTER_OBJECT_NAMESPACE: NAMESPACE },
    };
    const certificates = join(folder, 'certificates');
    const programs = [
      launch('keda-operator', [`--cert-dir=${certificates}`, '--zap-encoder=console'], {
        ...{ enter: operator.enter, environment },
      }),
      launch(
        'keda-adapter',
        [
          ...[`--secure-port=${PORTS.metrics}`, `--cert-dir=${certificates}`],
          ...[`--tls-cert-file=${files.certificate}`, `--tls-private-key-file=${files.key}`],
          `--client-ca-file=${files.authority}`,
          ...['lister', 'authentication', 'authorization'].map((what) => `--${what}-kubeconfig=${config}`),
          ...[`--metrics-service-address=${operator.address}:${PORTS.operator}`],
          ...[`--metrics-service-grpc-authority=${service}`, '--zap-encoder=console'],
        ],
        { enter: metrics.enter, environment },
      ),
    ];
    const keda = new Keda(programs);
    while (!((await isReady(operator)) && (await isAvailable(cluster)))) {
      if (programs.some(({ child }) => child.exitCode !== null)) throw new Error(keda.transcript);
      await delay(500);
    }
    return keda;
  }

  /** The end of what its programs said. */
  get transcript(): string {
    return this.#programs.map(({ log }) => log.join('')).join('\n--- metrics server\n');
  }

  async stop(): Promise<void> {
    await stopAll(this.#programs.map(({ child }) => child));
  }
}

function isReady({ address }: Host): Promise<boolean> {
  return fetch(`http://${address}:8081/readyz`).then(
    ({ ok }) => ok,
    () => false,
  );
}

function isAvailable(cluster: Cluster): Promise<boolean> {
  return cluster.run('get', '--raw', '/apis/external.metrics.k8s.io/v1beta1').then(
    () => true,
    () => false,
  );
}

/** What `kubectl apply` of a release makes, but for pods and webhooks; what it says of its version is the module's. */
function kedaObjects({ authority }: Issued): object[] {
  const text = execFileSync('kubectl', ['kustomize', join(moduleFolder(KEDA_MODULE), 'config/default')], {
    ...{ encoding: 'utf8', maxBuffer: 64 * 2 ** 20 },
  });
  const version = { 'app.kubernetes.io/version': PINS['KEDA']! };
  return readObjects(text)
    .filter(({ kind }) => kind !== 'ValidatingWebhookConfiguration')
    .map(({ metadata, spec, ...object }): KubeObject => ({
      ...object,
      metadata: { ...metadata, labels: { ...metadata.labels, ...version } },
      ...(spec === undefined ? {} : { spec: { ...spec, ...changesOf(object.kind, authority) } }),
    }));
}

function changesOf(kind: string, authority: string): object {
  if (kind === 'Deployment') return { replicas: 0 };
  return kind === 'APIService' ? { caBundle: readFileSync(authority).toString('base64') } : {};
}

/** Where the metrics server is, in place of its pod. */
function sliceOf({ address }: Host): object {
  return {
    ...{ apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', addressType: 'IPv4' },
    metadata: {
      ...{ name: METRICS, namespace: NAMESPACE },
      labels: { 'kubernetes.io/service-name': METRICS },
    },
    ports: [{ name: 'https', port: PORTS.metrics, protocol: 'TCP' }],
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
  };
}
