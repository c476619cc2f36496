// The chart in k8s/chart, rendered with each choice of values: every object fits its schema strictly, what objects name is
// there, and pods keep to the restricted standard. That these checks can fail: k8s-mistakes.test.ts.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../common/package-root.ts';
import {
  type Choice,
  containersOf,
  helm,
  type KubeObject,
  nameOf,
  readObjects,
  render,
  whyNotRendered,
  workloadsOf,
} from './support/k8s/objects.ts';
import { configMapData, environmentOf } from './support/k8s/environment.ts';
import { checkReferences } from './support/k8s/references.ts';
import { checkSchemas } from './support/k8s/schemas.ts';
import { checkSecurity } from './support/k8s/security.ts';

const missing = whyNotRendered();
const title = (text: string) => (missing === null ? text : `${text} (skipped: ${missing})`);

/** Kinds that no schema is at hand for. */
const UNCHECKED: readonly string[] = [];

const CHOICES: readonly [string, Choice, readonly string[]][] = [
  ['cpu', 'cpu', []],
  ['gpu', 'gpu', []],
  ['mig', 'mig', []],
  ['gpu with the plain autoscaler', 'gpu', ['--set', 'autoscaling.kind=hpa']],
  ['cpu with everything that watches and scales', 'cpu', ['--set', 'monitoring.enabled=true,autoscaling.enabled=true']],
  ['cpu in plain text, with claims that are there', 'cpu', ['--set', 'tls.mode=none,networkPolicy.enabled=false']],
]; // prettier-ignore

describe.skipIf(missing !== null).each(CHOICES)(title('%s'), (_name, choice, flags) => {
  const objects = missing === null ? render(choice, flags) : [];

  it('fits the schemas strictly; kinds without one are known', () => {
    const { problems, unchecked } = checkSchemas(objects);
    expect(problems).toEqual([]);
    expect(unchecked).toEqual(UNCHECKED);
  });

  it('names only what is there', () => {
    expect(checkReferences(objects)).toEqual([]);
  });

  it('keeps to the restricted standard', () => {
    expect(workloadsOf(objects).length).toBeGreaterThanOrEqual(4);
    expect(workloadsOf(objects).flatMap(checkSecurity)).toEqual([]);
  });

  it('has one coordinator, which is never doubled', () => {
    const { spec } = find(objects, 'Deployment/ballast-coordinator');
    expect(spec).toMatchObject({ replicas: 1, strategy: { type: 'Recreate' } });
  });

  it('serves beyond loopback either with TLS or with the word that it shall not', () => {
    const keys = Object.keys(configMapData(objects, 'ballast-cluster'));
    expect(keys.includes('BALLAST_TLS_CA')).not.toBe(keys.includes('BALLAST_INSECURE'));
  });

  it('keeps runs and data when the release goes', () => {
    const claims = objects.filter(({ kind }) => kind === 'PersistentVolumeClaim');
    expect(claims.map(({ metadata }) => metadata.annotations?.['helm.sh/resource-policy'])).toEqual(
      claims.map(() => 'keep'),
    );
    expect(claims.length).toBe(2);
  });

  it('gives another installation other names, cluster-wide too', () => {
    if (flags.length > 0) return; // the names are those of the choice
    const other = render(choice, ['--set', 'fullnameOverride=second']);
    const names = new Set(objects.map(nameOf));
    expect(other.filter((object) => names.has(nameOf(object)))).toEqual([]);
  });
});

describe.skipIf(missing !== null)(title('pools'), () => {
  const pools = (objects: readonly KubeObject[]) =>
    new Map(
      workloadsOf(objects)
        .filter(({ name }) => name.includes('diffusion-worker'))
        .map((workload) => [workload.name.split('-').at(-1)!, workload.spec.containers[0]!]),
    );

  it('have whole cards in gpu, whole ones and slices in mig, each worker having one', () => {
    const [gpu, mig] = [pools(render('gpu')), pools(render('mig'))];
    expect([...gpu.keys(), ...mig.keys()]).toEqual(['gpu', 'gpu', 'mig']);
    expect(gpu.get('gpu')?.resources?.limits).toMatchObject({ 'nvidia.com/gpu': 1 });
    expect(mig.get('gpu')?.resources?.limits).toMatchObject({ 'nvidia.com/gpu': 1 });
    expect(mig.get('mig')?.resources?.limits).toEqual({ memory: '8Gi', 'nvidia.com/mig-1g.10gb': 1 });
  });

  it('share one backlog by speed and number: the parts of all make the whole', () => {
    const scaled = render('mig', ['--set-json', 'worker.pools.mig.speed=0.25'])
      .filter(({ kind }) => kind === 'ScaledObject')
      .map(({ spec }) => spec as ScaledSpec);
    // Capacity 8 × 1 + 7 × 0.25 = 9.75 cards; 60 × 9.75 / 8 = 73.1 and 60 × 9.75 / 7 = 83.6, rounded up.
    expect(scaled.map((spec) => [spec.maxReplicaCount, spec.triggers[0]?.metadata.threshold])).toEqual([
      [8, '74'],
      [7, '84'],
    ]);
  });

  it('may be emptied from machines, and coordinator and trainer not', () => {
    const annotations = new Map(
      render('gpu')
        .filter(({ kind }) => kind === 'Deployment')
        .map(({ metadata, spec }) => [
          metadata.name,
          (spec as { template: KubeObject }).template.metadata.annotations ?? {},
        ]),
    );
    const prefix = 'cluster-autoscaler.kubernetes.io/safe-to-evict';
    for (const name of ['ballast-coordinator', 'ballast-classifier-trainer'])
      expect(annotations.get(name)?.[prefix]).toBe('false');
    const worker = workloadsOf(render('gpu')).find(({ name }) => name.endsWith('-gpu'))!;
    const folders = worker.spec.volumes!.filter(({ emptyDir }) => emptyDir).map(({ name }) => name);
    const named = annotations.get('ballast-diffusion-worker-gpu')?.[`${prefix}-local-volumes`];
    expect(named?.split(',').sort()).toEqual(folders.sort());
  });
});

it.skipIf(missing !== null)(
  title('trainers keep decoded images on a volume of a stated size, or on a claim'),
  () => {
    const trainer = (...flags: string[]) => {
      const { spec } = workloadsOf(render('cpu', flags)).find(({ name }) => name.endsWith('-trainer'))!;
      const [node] = spec.containers;
      const environment = environmentOf(node!, []);
      const folder = environment.get('BALLAST_IMAGE_CACHE');
      const mount = node!.volumeMounts!.find(({ mountPath }) => mountPath === folder)!;
      const volume = spec.volumes!.find(({ name }) => name === mount.name);
      return { size: environment.get('BALLAST_IMAGE_CACHE_GIB'), volume };
    };
    expect(trainer()).toEqual({ size: '16', volume: { name: 'images', emptyDir: { sizeLimit: '18Gi' } } });
    const cache = 'trainer.imageCache';
    expect(trainer('--set', `${cache}.sizeGib=200,${cache}.existingClaim=scratch`)).toEqual({
      size: '200',
      volume: { name: 'images', persistentVolumeClaim: { claimName: 'scratch' } },
    });
  },
);

interface ScaledSpec {
  readonly minReplicaCount: number;
  readonly maxReplicaCount: number;
  readonly fallback: object;
  readonly advanced: { readonly horizontalPodAutoscalerConfig: { readonly behavior: unknown } };
  readonly triggers: readonly { readonly metadata: Readonly<Record<string, string>> }[];
}

describe.skipIf(missing !== null)(title('autoscaling'), () => {
  const scaled = (...flags: readonly string[]) =>
    render('gpu', flags).find(({ kind }) => kind === 'ScaledObject')!.spec as ScaledSpec;

  it('keeps the current workers, at least one, when the backlog is unknown', () => {
    const { fallback, triggers } = scaled();
    expect(fallback).toEqual({ failureThreshold: 4, replicas: 1, behavior: 'currentReplicasIfHigher' });
    expect(triggers[0]?.metadata.ignoreNullValues).toBe('false');
  });

  it('reads the backlog of its own installation', () => {
    const { query } = scaled().triggers[0]!.metadata;
    const selectors = [...query!.matchAll(/ballast_\w+\{([^}]*)\}/g)].map(([, matchers]) => matchers);
    expect(selectors).toEqual(Array(2).fill('namespace="ballast",installation="ballast"'));
  });

  it.each([
    ['2.18.3', false],
    ['2.19.0', true],
    ['2.21.0', true],
  ])('with KEDA %s: %s', (version, works) => {
    const { failure } = helm('gpu', ['--set', `autoscaling.keda.version=${version}`]);
    expect(failure === '').toBe(works);
    if (!works) expect(failure).toContain(`KEDA is ${version}, and must be 2.19 or newer`);
  });

  it('keeps one policy with and without KEDA', () => {
    const keda = scaled();
    const plain = render('gpu', ['--set', 'autoscaling.kind=hpa']).find(
      ({ kind }) => kind === 'HorizontalPodAutoscaler',
    )!.spec as {
      minReplicas: number;
      maxReplicas: number;
      behavior: unknown;
      metrics: { external: { target: { averageValue: string } } }[];
    };
    expect(plain.behavior).toEqual(keda.advanced.horizontalPodAutoscalerConfig.behavior);
    expect([plain.minReplicas, plain.maxReplicas]).toEqual([1, keda.maxReplicaCount]); // it has no 0
    expect(plain.metrics[0]?.external.target.averageValue).toBe(keda.triggers[0]?.metadata.threshold);
    const text = (...path: string[]) => readFileSync(join(packageRoot(), 'k8s', ...path), 'utf8').trim();
    const query = /metricsQuery: (.*)/.exec(text('prometheus-adapter.yaml'))?.[1];
    const ours = text('chart', 'files', 'backlog.promql').replace('WINDOW', '10');
    expect(query?.replaceAll('<<.LabelMatchers>>', 'namespace="NAMESPACE",installation="INSTALLATION"')).toBe(
      ours,
    );
  });
});

describe.skipIf(missing !== null)(title('monitoring'), () => {
  const objects = missing === null ? render('gpu', ['--set', 'monitoring.labels.release=prom']) : [];
  const watched = objects.filter(({ kind }) => ['PodMonitor', 'PrometheusRule'].includes(kind));

  it('carries the labels that Prometheus selects by', () => {
    expect(watched.map(({ metadata }) => metadata.labels?.release)).toEqual(Array(4).fill('prom')); // nodes, controller, NATS, rules
  });

  it('distinguishes installations by the label that queries select', () => {
    const monitors = watched.filter(({ kind }) => kind === 'PodMonitor');
    for (const { spec } of monitors) expect(JSON.stringify(spec)).toContain('"targetLabel":"installation"');
    const rules = JSON.stringify(watched.find(({ kind }) => kind === 'PrometheusRule'));
    expect(rules).toContain('absent(ballast_runs{namespace=\\"ballast\\",installation=\\"ballast\\"})');
    expect(rules).not.toMatch(/NAMESPACE|INSTALLATION|FULLNAME/);
    expect(rules).toContain('=~\\"ballast-diffusion-worker-.*\\"');
  });

  it('names the jobs that rules look for, whatever the release is called', () => {
    const fair = render('gpu', ['--set', 'fullnameOverride=fair']);
    const jobs = fair
      .filter(({ kind }) => kind === 'PodMonitor')
      .map(({ spec }) => /"targetLabel":"job","replacement":"([^"]*)"/.exec(JSON.stringify(spec))?.[1]);
    expect(jobs).toEqual(expect.arrayContaining(['ballast', 'ballast-controller', 'ballast-nats']));
  });

  it('links runbooks by a whole address', () => {
    const links = [...JSON.stringify(watched).matchAll(/"runbook_url":"([^"]*)"/g)].map(([, link]) => link!);
    expect(links.length).toBeGreaterThan(25);
    for (const link of links) expect(new URL(link).hash).toMatch(/^#\w+$/);
  });

  it('has each dashboard as a config map that Grafana finds, below the limit of its size', () => {
    const maps = objects.filter(({ metadata }) => metadata.labels?.grafana_dashboard === '1');
    expect(maps.length).toBe(6);
    for (const { data } of maps) {
      const [[file, text]] = Object.entries(data as Record<string, string>) as [[string, string]];
      expect(file).toMatch(/^ballast-\w+\.json$/);
      const { templating } = JSON.parse(text) as { templating: { list: { name: string }[] } };
      expect(templating.list.map(({ name }) => name)).toEqual(
        expect.arrayContaining(['cluster', 'namespace', 'installation']),
      );
      expect(text.length).toBeLessThan(2 ** 20);
    }
  });
});

describe.skipIf(missing !== null)(title('images'), () => {
  const images = (choice: Choice, ...flags: string[]) => [
    ...new Set(workloadsOf(render(choice, flags)).flatMap((workload) => containersOf(workload).map(({ image }) => image!))),
  ]; // prettier-ignore
  const digest = `sha256:${'a'.repeat(64)}`;

  it('come from a registry of one’s own, each by its digest, with its secret', () => {
    const set = `image.prefix=reg.example.com/team,image.digests.ballast=${digest},imagePullSecrets[0].name=pull`;
    expect(images('gpu', '--set', set)).toEqual([
      `reg.example.com/team/ballast:0.1.0@${digest}`,
      'reg.example.com/team/ballast-cuda:0.1.0',
      'nats:2.15.3-alpine',
      'natsio/prometheus-nats-exporter:0.17.3',
    ]);
    for (const { spec } of workloadsOf(render('gpu', ['--set', set])))
      expect(spec.imagePullSecrets).toEqual([{ name: 'pull' }]);
  });
});

describe.skipIf(missing !== null)(title('machines'), () => {
  it('of four cores have room for all of cpu beside what a cluster runs itself', () => {
    const cores = (text: string | number) =>
      String(text).endsWith('m') ? parseInt(String(text), 10) / 1000 : Number(text);
    const asked = workloadsOf(render('cpu'))
      .filter(({ object }) => object.kind !== 'Pod')
      .map(({ object, spec }) => {
        const { replicas = 1 } = object.spec as { replicas?: number };
        return (
          replicas * spec.containers.reduce((sum, { resources }) => sum + cores(resources!.requests!.cpu!), 0)
        );
      });
    expect(asked.reduce((sum, each) => sum + each)).toBeLessThan(3);
  });

  it('that are lost keep the coordinator for half a minute, not for five', () => {
    const { spec } = workloadsOf(render('cpu')).find(({ name }) => name.endsWith('-coordinator'))!;
    expect(spec.tolerations?.map(({ key, tolerationSeconds }) => [key, tolerationSeconds])).toEqual([
      ['node.kubernetes.io/unreachable', 30],
      ['node.kubernetes.io/not-ready', 30],
    ]);
  });
});

describe.skipIf(missing !== null)(title('values'), () => {
  it.each([
    ['worker.pools.cpu.speeed=2', "additional properties 'speeed' not allowed"],
    ['tls.mode=maybe', "at '/tls/mode'"],
    ['image.digests.ballast=sha256:1', "at '/image/digests/ballast'"],
    ['nats.enabled=false', 'nats.address: say where NATS is'],
    ['autoscaling.enabled=true', 'set monitoring.enabled too'],
    ['storage.runs.size=lots', "at '/storage/runs/size'"],
    ['nats.storage.limit=900', "at '/nats/storage/limit'"],
    ['controller.tokenSecret=mine', 'only if api.tokensSecret has its digest'],
    [
      'autoscaling.enabled=true,monitoring.enabled=true,autoscaling.minReplicas=9',
      'autoscaling.minReplicas: 9 is more than worker.pools.cpu.maxReplicas, 8',
    ],
  ])('%s is refused', (set, message) => {
    const { failure } = helm('cpu', ['--set', set]);
    expect(failure).toContain(message);
  });

  it('reach the manifests: storage, DNS, another NATS, the network', () => {
    const objects = render('cpu', [
      ...['--set', 'storage.runs.storageClass=fast,storage.runs.accessModes={ReadWriteMany}'],
      ...['--set', 'storage.data.existingClaim=photos'],
      ...['--set', 'networkPolicy.dns.ports={5353}'],
      ...['--set', 'nats.enabled=false,nats.address=tls://nats.queue:4333,clusterName=blue'],
    ]);
    const claims = objects.filter(({ kind }) => kind === 'PersistentVolumeClaim');
    expect(claims.map(({ spec }) => spec)).toEqual([
      {
        accessModes: ['ReadWriteMany'],
        storageClassName: 'fast',
        resources: { requests: { storage: '10Gi' } },
      },
    ]);
    const { spec } = find(objects, 'Deployment/ballast-coordinator');
    expect(JSON.stringify(spec)).toContain('"persistentVolumeClaim":{"claimName":"photos"}');
    expect(JSON.stringify(find(objects, 'NetworkPolicy/ballast-dns'))).toContain('"port":5353');
    expect(JSON.stringify(find(objects, 'NetworkPolicy/ballast-nodes'))).toContain('"port":4333');
    expect(configMapData(objects, 'ballast-cluster').BALLAST_JOIN).toBe('tls://nats.queue:4333');
    expect(objects.filter(({ kind }) => kind === 'StatefulSet')).toEqual([]);
    const accounts = configMapData(objects, 'ballast-nats')['ballast-accounts.conf']!;
    expect(accounts).toContain('KV_ballast_blue_lease_60000');
    expect(accounts).not.toMatch(/ballast_default|cluster-default"/);
  });

  it('reach the manifests: how long runs are kept, room for NATS, no wait for a lost machine', () => {
    const objects = render('cpu', [
      ...['--set', 'coordinator.keepRuns=20,coordinator.keepRunsDays=7,coordinator.unreachableSeconds=0'],
      ...['--set', 'nats.storage.size=10Gi,nats.storage.limit=9GB'],
    ]);
    const { spec } = workloadsOf(objects).find(({ name }) => name.endsWith('-coordinator'))!;
    const flags = ['--keep-runs=20', '--keep-runs-days=7'];
    expect(spec.containers[0]!.args).toEqual(expect.arrayContaining(flags));
    expect(workloadsOf(render('cpu')).flatMap((each) => each.spec.containers[0]!.args ?? [])).not.toEqual(
      expect.arrayContaining([expect.stringContaining('--keep-runs')]),
    );
    expect(spec.tolerations?.map(({ tolerationSeconds }) => tolerationSeconds)).toEqual([0, 0]);
    expect(configMapData(objects, 'ballast-nats')['nats.conf']).toContain('max_file_store: 9GB');
  });

  it('leave nothing to chance where all secrets are given, so that two renderings are equal', () => {
    const all = [
      ...['--set', 'nats.passwordsSecret=nats,api.tokensSecret=tokens,controller.tokenSecret=controller'],
      ...['--set', 'tls.mode=cert-manager'],
    ];
    const objects = render('cpu', all);
    expect(objects.filter(({ kind }) => kind === 'Secret')).toEqual([]);
    expect(render('cpu', all)).toEqual(objects);
    for (const { name, spec } of workloadsOf(objects).filter(({ name: is }) =>
      is.startsWith('Deployment/'),
    )) {
      const role = NATS_USERS[name.replace(/^Deployment\/ballast-/, '').replace(/-cpu$/, '')];
      const volume = spec.volumes?.find((each) => each.name === 'nats');
      if (role !== undefined)
        expect(volume?.secret).toMatchObject({
          secretName: 'nats',
          items: [{ key: role, path: 'password' }],
        });
    }
  });

  it('keep the authority’s key where cert-manager makes it', () => {
    const { spec } = find(render('gpu'), 'Certificate/ballast-authority');
    expect(spec).toMatchObject({ isCA: true, privateKey: { rotationPolicy: 'Never' } });
  });
});

/** Users of NATS by component. */
const NATS_USERS: Readonly<Record<string, string>> = {
  coordinator: 'coordinator',
  'classifier-trainer': 'trainer',
  'diffusion-worker': 'worker',
};

describe.skipIf(missing !== null).each(['cpu', 'gpu'] as const)(title('NATS accounts in %s'), (choice) => {
  const objects = missing === null ? render(choice) : [];
  const nodes = workloadsOf(objects).filter(
    ({ labels }) => labels['app.kubernetes.io/component']! in NATS_USERS,
  );
  const accounts = configMapData(objects, 'ballast-nats')['ballast-accounts.conf'] ?? '';

  it('are for the cluster and the lease of the manifests', () => {
    const clusters = [...accounts.matchAll(/"[^"]*(?:ballast_|cluster-)([a-z]+)/g)].map(([, name]) => name);
    const { BALLAST_CLUSTER: cluster } = configMapData(objects, 'ballast-cluster');
    expect(new Set(clusters)).toEqual(new Set([cluster]));
    const named = [...accounts.matchAll(/"[^"]*lease_(\d+)/g)].map(([, lease]) => Number(lease));
    const leases = nodes.map(({ spec }) =>
      Number(/--lease=(\d+)/.exec(spec.containers[0]!.args!.join(' '))?.[1]),
    );
    expect(new Set(named)).toEqual(new Set(leases.map((seconds) => 1000 * seconds)));
    expect(new Set(named).size).toBe(1);
  });

  it('give each role its user, with a secret of its own that the server has too', () => {
    const server = workloadsOf(objects).find(({ name }) => name === 'StatefulSet/ballast-nats')!;
    const variables = new Map(
      server.spec.containers[0]!.env!.flatMap(({ name, valueFrom }) =>
        valueFrom?.secretKeyRef === undefined ? [] : [[name, valueFrom.secretKeyRef]],
      ),
    );
    expect(nodes.length).toBe(3);
    for (const { labels, spec, name } of nodes) {
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
      for (const other of variables.values())
        if (other.name !== secret.name) expect(JSON.stringify(spec)).not.toContain(`"${other.name}"`);
    }
    expect(variables.size).toBe(3);
  });
});

it('files beside the chart hold no secret, fit their schemas and keep to the standard', () => {
  const folder = join(packageRoot(), 'k8s');
  const objects = readObjects(readFileSync(join(folder, 'data-loader.yaml'), 'utf8'));
  expect(checkSchemas(objects)).toEqual({ problems: [], unchecked: [] });
  expect(workloadsOf(objects).flatMap(checkSecurity)).toEqual([]);
  const secret = readObjects(readFileSync(join(folder, 'api-tokens.yaml'), 'utf8'));
  expect(checkSchemas(secret).unchecked).toEqual(['external-secrets.io/v1 ExternalSecret']);
  expect(JSON.stringify([...objects, ...secret])).not.toMatch(/"(data|stringData)":\{/);
});

function find(objects: readonly KubeObject[], name: string): KubeObject {
  const found = objects.find((object) => nameOf(object) === name);
  if (found === undefined) throw new Error(`no ${name}`);
  return found;
}
