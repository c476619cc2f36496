// The manifests in k8s/: each overlay renders, every object fits its schema strictly, what objects name is there, and
// pods keep to the restricted standard. Seeded mistakes must be caught, so that these are checks which can fail.
import { readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../common/package-root.ts';
import {
  type KubeObject,
  nameOf,
  readObjects,
  render,
  whyNotRendered,
  workloadsOf,
} from './support/k8s/objects.ts';
import { checkReferences, type Surroundings } from './support/k8s/references.ts';
import { checkSchemas } from './support/k8s/schemas.ts';
import { checkSecurity } from './support/k8s/security.ts';
import { ALONE, natsValues, withNatsChart } from './support/k8s/surroundings.ts';
import { newFolder } from './support/suite.ts';

const missing = whyNotRendered();
const title = (text: string) => (missing === null ? text : `${text} (skipped: ${missing})`);

/** Kinds that no schema is at hand for. */
const UNCHECKED: readonly string[] = [];

const OVERLAYS: readonly [string, () => Surroundings][] = [
  ['overlays/local-cpu', () => ALONE],
  ['overlays/gpu', withNatsChart],
  ['overlays/mig', withNatsChart],
];

/** Renders an overlay of the test's own. */
function renderWith(kustomization: (path: (name: string) => string) => string): KubeObject[] {
  const folder = newFolder('overlay');
  const path = (name: string) => relative(folder, join(packageRoot(), 'k8s', name));
  writeFileSync(join(folder, 'kustomization.yaml'), kustomization(path));
  return render(folder);
}

/** What kind of component the overlays leave out, in overlays of its own. */
const OTHERS: readonly [string, () => KubeObject[], () => Surroundings][] = [
  [
    'gpu with the plain autoscaler',
    () =>
      renderWith((path) =>
        [
          'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: ballast',
          `resources: [${path('base')}]`,
          `components: [${['gpu', 'mtls', 'hpa', 'images'].map((name) => path(`components/${name}`)).join()}]`,
        ].join('\n'),
      ),
    withNatsChart,
  ],
  [
    'local-cpu with everything that watches and scales',
    () =>
      renderWith((path) =>
        [
          'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: ballast',
          `resources: [${path('overlays/local-cpu')}]`,
          `components: [${path('components/keda')}]`,
        ].join('\n'),
      ),
    () => ALONE,
  ],
];

const ALL: readonly [string, () => KubeObject[], () => Surroundings][] = [
  ...OVERLAYS.map(
    ([name, around]) =>
      [name, () => render(name), around] as [string, () => KubeObject[], () => Surroundings],
  ),
  ...OTHERS,
];

/** Everything that is wrong with a set of objects. */
function problemsOf(objects: readonly KubeObject[], around: Surroundings): string[] {
  return [
    ...checkSchemas(objects).problems,
    ...checkReferences(objects, around),
    ...workloadsOf(objects).flatMap(checkSecurity),
  ];
}

describe.skipIf(missing !== null).each(ALL)(title('%s'), (_name, rendered, around) => {
  const objects = missing === null ? rendered() : [];

  it('fits the schemas strictly; kinds without one are known', () => {
    const { problems, unchecked } = checkSchemas(objects);
    expect(problems).toEqual([]);
    expect(unchecked).toEqual(UNCHECKED);
  });

  it('names only what is there', () => {
    expect(checkReferences(objects, around())).toEqual([]);
  });

  it('keeps to the restricted standard, in a namespace that enforces it', () => {
    expect(workloadsOf(objects).length).toBeGreaterThanOrEqual(3);
    expect(workloadsOf(objects).flatMap(checkSecurity)).toEqual([]);
    const namespace = objects.find(({ kind }) => kind === 'Namespace');
    expect(namespace?.metadata.labels).toMatchObject({ 'pod-security.kubernetes.io/enforce': 'restricted' });
  });

  it('has one coordinator, which is never doubled', () => {
    const { spec } = objects.find((object) => nameOf(object) === 'Deployment/coordinator')!;
    expect(spec).toMatchObject({ replicas: 1, strategy: { type: 'Recreate' } });
  });

  it('serves beyond loopback either with TLS or with the word that it shall not', () => {
    const { data } = objects.find(
      ({ kind, metadata }) => kind === 'ConfigMap' && /^cluster-/.test(metadata.name),
    )!;
    const keys = Object.keys(data as object);
    expect(keys.includes('BALLAST_TLS_CA')).not.toBe(keys.includes('BALLAST_INSECURE'));
  });

  it('denies all traffic by default, where it has policies', () => {
    const policies = objects.filter(({ kind }) => kind === 'NetworkPolicy');
    if (policies.length === 0) return expect(_name).toBe('gpu with the plain autoscaler');
    expect(policies.find(({ metadata }) => metadata.name === 'default-deny')?.spec).toEqual({
      podSelector: {},
      policyTypes: ['Ingress', 'Egress'],
    });
  });
});

describe.skipIf(missing !== null)(title('cards'), () => {
  const limits = (objects: readonly KubeObject[], name: string) =>
    workloadsOf(objects).find((workload) => workload.name === name)?.spec.containers[0]?.resources?.limits;

  it('are whole in gpu, whole and sliced in mig, each worker having one', () => {
    const [gpu, mig] = [render('overlays/gpu'), render('overlays/mig')];
    expect(limits(gpu, 'Deployment/diffusion-worker')).toMatchObject({ 'nvidia.com/gpu': 1 });
    expect(limits(mig, 'Deployment/diffusion-worker')).toMatchObject({ 'nvidia.com/gpu': 1 });
    const slice = limits(mig, 'Deployment/diffusion-worker-mig');
    expect(slice).toMatchObject({ 'nvidia.com/mig-1g.10gb': 1 });
    expect(slice).not.toHaveProperty(['nvidia.com/gpu']);
  });

  it('share one backlog: thresholds of both kinds are twice that of one', () => {
    const thresholds = (objects: readonly KubeObject[]) =>
      objects
        .filter(({ kind }) => kind === 'ScaledObject')
        .map(({ spec }) =>
          Number(
            (spec as { triggers: { metadata: { threshold: string } }[] }).triggers[0]?.metadata.threshold,
          ),
        );
    const [whole = NaN] = thresholds(render('overlays/gpu'));
    expect(thresholds(render('overlays/mig'))).toEqual([2 * whole, 2 * whole]);
  });
});

it.skipIf(missing !== null)(title('KEDA and the plain autoscaler keep one policy'), () => {
  const [, hpa] = OTHERS[0]!;
  const plain = hpa().find(({ kind }) => kind === 'HorizontalPodAutoscaler')!.spec as {
    minReplicas: number;
    maxReplicas: number;
    behavior: unknown;
    metrics: { external: { target: { averageValue: string } } }[];
  };
  const keda = render('overlays/gpu').find(({ kind }) => kind === 'ScaledObject')!.spec as {
    minReplicaCount: number;
    maxReplicaCount: number;
    advanced: { horizontalPodAutoscalerConfig: { behavior: unknown } };
    triggers: { metadata: { threshold: string; query: string } }[];
  };
  expect(plain.behavior).toEqual(keda.advanced.horizontalPodAutoscalerConfig.behavior);
  expect([plain.minReplicas, plain.maxReplicas]).toEqual([keda.minReplicaCount, keda.maxReplicaCount]);
  expect(plain.metrics[0]?.external.target.averageValue).toBe(keda.triggers[0]?.metadata.threshold);
  const adapter = readFileSync(join(packageRoot(), 'k8s/components/hpa/adapter-values.yaml'), 'utf8');
  const query = /metricsQuery: (.*)/.exec(adapter)?.[1]?.replace('{<<.LabelMatchers>>}', '');
  expect(query).toBe(keda.triggers[0]?.metadata.query);
});

it.skipIf(missing !== null)(title('NATS by its chart uses the certificate that is made for it'), () => {
  const secrets = render('overlays/gpu')
    .filter(({ kind }) => kind === 'Certificate')
    .map(({ spec }) => (spec as { secretName: string }).secretName);
  expect(secrets).toContain(natsValues().config.nats.tls.secretName);
  expect(secrets).toContain(natsValues().tlsCA.secretName);
});

it('examples hold no secret, fit their schemas and keep to the standard', () => {
  const folder = join(packageRoot(), 'k8s', 'examples');
  const objects = readObjects(readFileSync(join(folder, 'data-loader.yaml'), 'utf8'));
  expect(checkSchemas(objects)).toEqual({ problems: [], unchecked: [] });
  const loader = workloadsOf(objects).flatMap(checkSecurity);
  expect(loader.filter((problem) => !/probe|hook/.test(problem))).toEqual([]);
  const secret = readObjects(readFileSync(join(folder, 'api-tokens.yaml'), 'utf8'));
  expect(checkSchemas(secret).unchecked).toEqual(['external-secrets.io/v1 ExternalSecret']);
  expect(JSON.stringify([...objects, ...secret])).not.toMatch(/"(data|stringData)":\{/);
});

/** A field of an object, by path, replaced; the whole is a copy. */
function seeded(objects: readonly KubeObject[], name: string, change: (spec: never) => void): KubeObject[] {
  const copy = structuredClone(objects) as KubeObject[];
  const object = copy.find((each) => nameOf(each) === name);
  if (object === undefined) throw new Error(`no ${name}`);
  change(object.spec as never);
  return copy;
}

interface Spec {
  selector: { matchLabels: Record<string, string>; 'app.kubernetes.io/name': string };
  ports: { targetPort: string }[];
  scaleTargetRef: { name: string };
  secretName: string;
  replica: number;
  podMetricsEndpoints: { port: string }[];
  podSelector: { matchLabels: Record<string, string> };
  template: {
    spec: {
      containers: {
        args: string[];
        image: string;
        imagePullpolicy: string;
        ports: { name: string; containerPort: number }[];
        startupProbe: { grpc: { port: number } };
        envFrom: { configMapRef: { name: string } }[];
        volumeMounts: { name: string }[];
        securityContext: { readOnlyRootFilesystem: boolean };
        resources: { limits: Record<string, string | undefined> };
      }[];
      volumes: {
        name: string;
        secret?: { secretName: string };
        persistentVolumeClaim?: { claimName: string };
      }[];
      securityContext: { runAsUser: number };
      priorityClassName: string;
      terminationGracePeriodSeconds: number | string;
      automountServiceAccountToken: boolean;
    };
  };
}

const WORKER = 'Deployment/diffusion-worker';
const MISTAKES: readonly [string, string, (spec: Spec) => void, string][] = [
  ['an unknown field', WORKER, (s) => (s.replica = 2), 'spec.replica: unknown field'],
  [
    'an unknown field deep within',
    WORKER,
    (s) => (s.template.spec.containers[0]!.imagePullpolicy = 'Always'),
    'spec.template.spec.containers[0].imagePullpolicy: unknown field',
  ],
  [
    'a wrong type',
    WORKER,
    (s) => (s.template.spec.terminationGracePeriodSeconds = 'long'),
    'terminationGracePeriodSeconds',
  ],
  ['a wrong port name', 'Service/coordinator', (s) => (s.ports[0]!.targetPort = 'apis'), 'no port apis'],
  [
    'a missing secret',
    'Certificate/diffusion-worker',
    (s) => (s.secretName = 'other'),
    'no secret diffusion-worker-tls',
  ],
  ['a selector that misses', WORKER, (s) => (s.selector.matchLabels.x = 'y'), 'does not match its pods'],
  [
    'a service that finds nobody',
    'Service/coordinator',
    (s) => (s.selector['app.kubernetes.io/name'] = 'coördinator'),
    'matches no pods',
  ],
  [
    'a selector that finds too much',
    'Deployment/diffusion-worker',
    (s) => (s.selector.matchLabels = { 'app.kubernetes.io/part-of': 'ballast' }),
    'also matches the pods of Deployment/coordinator',
  ],
  [
    'a missing config map',
    WORKER,
    (s) => (s.template.spec.containers[0]!.envFrom[0]!.configMapRef.name = 'clutser'),
    'no config map clutser',
  ],
  [
    'a variable that is not set',
    WORKER,
    (s) => s.template.spec.containers[0]!.args.push('--x=$(BALLAST_JION)'),
    'no variable BALLAST_JION',
  ],
  [
    'a missing claim',
    'Deployment/coordinator',
    (s) => (s.template.spec.volumes[0]!.persistentVolumeClaim = { claimName: 'run' }),
    'no claim run',
  ],
  [
    'a mount without a volume',
    WORKER,
    (s) => (s.template.spec.containers[0]!.volumeMounts[0]!.name = 'nod'),
    'no volume nod',
  ],
  [
    'a probe at a port that is not served',
    WORKER,
    (s) => (s.template.spec.containers[0]!.startupProbe.grpc.port = 4702),
    'startupProbe: the container has no port 4702',
  ],
  [
    'a missing priority class',
    WORKER,
    (s) => (s.template.spec.priorityClassName = 'high'),
    'no priority class high',
  ],
  [
    'a monitor of a port that is not there',
    'PodMonitor/ballast',
    (s) => (s.podMetricsEndpoints[0]!.port = 'metric'),
    'port metric',
  ],
  [
    'a policy for nobody',
    'NetworkPolicy/api',
    (s) => (s.podSelector.matchLabels = { 'app.kubernetes.io/name': 'api' }),
    'matches no pods',
  ],
  [
    'an autoscaler of nothing',
    'ScaledObject/diffusion-worker',
    (s) => (s.scaleTargetRef.name = 'workers'),
    'no Deployment workers',
  ],
  ['root', WORKER, (s) => (s.template.spec.securityContext.runAsUser = 0), 'runAsUser'],
  [
    'a writable root',
    WORKER,
    (s) => (s.template.spec.containers[0]!.securityContext.readOnlyRootFilesystem = false),
    'its root is writable',
  ],
  [
    'a token of the API server',
    WORKER,
    (s) => (s.template.spec.automountServiceAccountToken = true),
    'token',
  ],
  [
    'an image that moves',
    WORKER,
    (s) => (s.template.spec.containers[0]!.image = 'ballast/worker'),
    'is not pinned',
  ],
  [
    'no limit of memory',
    WORKER,
    (s) => (s.template.spec.containers[0]!.resources.limits.memory = undefined),
    'no limit of memory',
  ],
  [
    'a grace period shorter than --grace',
    WORKER,
    (s) => (s.template.spec.terminationGracePeriodSeconds = 90),
    'killed after 90 s',
  ],
];

describe.skipIf(missing !== null)(title('seeded mistakes'), () => {
  const objects = missing === null ? render('overlays/gpu') : [];

  it.each(MISTAKES)('%s', (_what, name, change, problem) => {
    const found = problemsOf(seeded(objects, name, change), withNatsChart());
    expect(found.join('\n')).toContain(problem);
    expect(found.join('\n')).toMatch(/^[A-Z]\w+\/[\w-]+: /);
  });
});
