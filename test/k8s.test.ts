// The manifests in k8s/: each overlay renders, every object fits its schema strictly, what objects name is there, and
// pods keep to the restricted standard. That these checks can fail: k8s-mistakes.test.ts.
import { readFileSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
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
import { configMapData, environmentOf } from './support/k8s/environment.ts';
import { checkReferences, type Surroundings } from './support/k8s/references.ts';
import { checkSchemas } from './support/k8s/schemas.ts';
import { checkSecurity } from './support/k8s/security.ts';
import {
  ALONE,
  NATS_CONFIG_DIR,
  natsSecretVariables,
  natsValues,
  withNatsChart,
} from './support/k8s/surroundings.ts';
import { newFolder } from './support/suite.ts';

const missing = whyNotRendered();
const title = (text: string) => (missing === null ? text : `${text} (skipped: ${missing})`);

/** Users of NATS by component. */
const NATS_USERS: Readonly<Record<string, string>> = {
  coordinator: 'coordinator',
  'classifier-trainer': 'trainer',
  'diffusion-worker': 'worker',
};

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
          `components: [${['gpu', 'mtls', 'nats-accounts', 'hpa', 'images'].map((name) => path(`components/${name}`)).join()}]`,
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
  expect(keda.minReplicaCount).toBe(0);
  expect([plain.minReplicas, plain.maxReplicas]).toEqual([1, keda.maxReplicaCount]); // it has no 0
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

describe.skipIf(missing !== null).each(['gpu', 'mig'])(title('NATS accounts in %s'), (overlay) => {
  const objects = missing === null ? render(`overlays/${overlay}`) : [];
  const deployments = workloadsOf(objects);
  const accounts = configMapData(objects, 'nats-accounts')['ballast-accounts.conf'] ?? '';

  it('are for the cluster and the lease of the manifests', () => {
    const cluster = objects.find(
      ({ kind, metadata }) => kind === 'ConfigMap' && /^cluster-/.test(metadata.name),
    )!;
    const clusters = [...accounts.matchAll(/"[^"]*(?:ballast_|cluster-)([a-z]+)/g)].map(([, name]) => name);
    expect(new Set(clusters)).toEqual(new Set([(cluster.data as Record<string, string>)['BALLAST_CLUSTER']]));
    const named = [...accounts.matchAll(/"[^"]*lease_(\d+)/g)].map(([, lease]) => Number(lease));
    const leases = deployments.map(({ spec }) =>
      Number(/--lease=(\d+)/.exec(spec.containers[0]!.args!.join(' '))?.[1]),
    );
    expect(new Set(named)).toEqual(new Set(leases.map((seconds) => 1000 * seconds)));
    expect(new Set(named).size).toBe(1);
  });

  it('give each role its user, with a secret of its own that the server has too', () => {
    const variables = natsSecretVariables(natsValues());
    for (const { labels, spec, name } of deployments) {
      const [container] = spec.containers;
      const environment = environmentOf(container!, objects);
      const user = environment.get('BALLAST_NATS_USER')!;
      expect(user, name).toBe(NATS_USERS[labels['app.kubernetes.io/component']!]);
      const rights = accounts.split(/(?=user: )/).find((part) => part.startsWith(`user: ${user}\n`))!;
      expect(rights).toContain(`subscribe: { allow: ["${environment.get('BALLAST_NATS_INBOX_PREFIX')}.>"] }`);
      const [, variable = ''] = /password: \$(\w+)/.exec(rights) ?? [];
      const secret = variables.get(variable)!;
      const file = environment.get('BALLAST_NATS_PASSWORD_FILE')!;
      const mount = container!.volumeMounts!.find(({ mountPath }) => file.startsWith(`${mountPath}/`))!;
      expect(file).toBe(join(mount.mountPath, secret.key));
      expect(spec.volumes!.find((volume) => volume.name === mount.name)?.secret?.secretName).toBe(
        secret.name,
      );
      const others = [...variables.values()].filter((each) => each.name !== secret.name);
      for (const each of others) expect(JSON.stringify(spec)).not.toContain(`"${each.name}"`);
    }
    expect(variables.size).toBe(3);
  });

  it('reach the chart where its configuration includes them', () => {
    const { config, container, podTemplate } = natsValues();
    const [{ value: mount }] = container.patch as [(typeof container.patch)[number]];
    const [{ value: volume }] = podTemplate.patch as [(typeof podTemplate.patch)[number]];
    expect(resolve(NATS_CONFIG_DIR, config.merge.$include)).toBe(
      join(mount.mountPath, 'ballast-accounts.conf'),
    );
    expect([volume.name, volume.configMap.name]).toEqual([mount.name, 'nats-accounts']);
  });
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
