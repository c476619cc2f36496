// Seeded mistakes in rendered manifests: the checks of k8s.test.ts must find each.
import { describe, expect, it } from 'vitest';
import { type KubeObject, nameOf, render, whyNotRendered, workloadsOf } from './support/k8s/objects.ts';
import { checkReferences } from './support/k8s/references.ts';
import { checkSchemas } from './support/k8s/schemas.ts';
import { checkSecurity } from './support/k8s/security.ts';

const missing = whyNotRendered();

/** Everything that is wrong with a set of objects. */
function problemsOf(objects: readonly KubeObject[]): string[] {
  return [
    ...checkSchemas(objects).problems,
    ...checkReferences(objects),
    ...workloadsOf(objects).flatMap(checkSecurity),
  ];
}

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
        livenessProbe: { grpc: { service: string } };
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

const WORKER = 'Deployment/ballast-diffusion-worker-gpu';
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
  [
    'a wrong port name',
    'Service/ballast-coordinator',
    (s) => (s.ports[0]!.targetPort = 'apis'),
    'no port apis',
  ],
  [
    'a missing secret',
    'Certificate/ballast-diffusion-worker',
    (s) => (s.secretName = 'other'),
    'no secret ballast-diffusion-worker-tls',
  ],
  ['a selector that misses', WORKER, (s) => (s.selector.matchLabels.x = 'y'), 'does not match its pods'],
  [
    'a service that finds nobody',
    'Service/ballast-coordinator',
    (s) => (s.selector['app.kubernetes.io/name'] = 'coördinator'),
    'matches no pods',
  ],
  [
    'a selector that finds too much',
    'Deployment/ballast-diffusion-worker-gpu',
    (s) => (s.selector.matchLabels = { 'app.kubernetes.io/part-of': 'ballast' }),
    'also matches the pods of Deployment/ballast-coordinator',
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
    'Deployment/ballast-coordinator',
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
    'NetworkPolicy/ballast-api',
    (s) => (s.podSelector.matchLabels = { 'app.kubernetes.io/name': 'api' }),
    'matches no pods',
  ],
  [
    'an autoscaler of nothing',
    'ScaledObject/ballast-diffusion-worker-gpu',
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
    'a grace period shorter than the hook and --grace together',
    WORKER,
    (s) => (s.template.spec.terminationGracePeriodSeconds = 180),
    'killed after 180 s',
  ],
  [
    'liveness that asks for readiness',
    WORKER,
    (s) => (s.template.spec.containers[0]!.livenessProbe.grpc.service = ''),
    'would be killed in the middle of its work',
  ],
];

describe.skipIf(missing !== null)(
  missing === null ? 'seeded mistakes' : `seeded mistakes (skipped: ${missing})`,
  () => {
    const objects = missing === null ? render('gpu') : [];

    it.each(MISTAKES)('%s', (_what, name, change, problem) => {
      const found = problemsOf(seeded(objects, name, change));
      expect(found.join('\n')).toContain(problem);
      expect(found.join('\n')).toMatch(/^[A-Z]\w+\/[\w-]+: /);
    });
  },
);
