// The manifests in k8s/: each overlay renders, every object fits its schema strictly, what objects name is there, and
// pods keep to the restricted standard. That these checks can fail: k8s-mistakes.test.ts.
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
