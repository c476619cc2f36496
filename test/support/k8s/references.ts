/** Whether what objects name is there: pods by labels, ports, config maps, secrets, volumes, classes, issuers. */
import type { IContainer } from 'kubernetes-models/v1/Container';
import { configMapData, environmentOf, resourceOf } from './environment.ts';
import { containersOf, nameOf, RELEASE, selects, workloadsOf } from './objects.ts';
import type { KubeObject, LabelSelector, Workload } from './objects.ts';

interface PodKind {
  readonly labels: Readonly<Record<string, string>>;
  /** Numbers of ports by name. */
  readonly ports: Readonly<Record<string, number>>;
}

interface Context {
  readonly objects: readonly KubeObject[];
  readonly workloads: readonly Workload[];
  readonly has: (kind: string, name: string | undefined) => boolean;
}

/** Problems, each naming the object. */
export function checkReferences(objects: readonly KubeObject[]): string[] {
  const names = new Set(objects.map(nameOf));
  const context: Context = {
    ...{ objects, workloads: workloadsOf(objects) },
    has: (kind, name) => names.has(`${kind}/${name}`),
  };
  return [
    ...objects.flatMap((object) => checkNamespace(object)),
    ...context.workloads.flatMap((workload) => [
      ...checkOwnSelector(workload, context),
      ...checkVolumes(workload, context),
      ...containersOf(workload).flatMap((container) =>
        [
          ...checkMounts(container, workload),
          ...checkEnvironment(container, context),
          ...checkProbes(container),
        ].map((problem) => `${workload.name}: ${problem}`),
      ),
    ]),
    ...objects.flatMap((object) =>
      checkObject(object, context).map((problem) => `${nameOf(object)}: ${problem}`),
    ),
  ];
}

const CLUSTER_KINDS = ['CustomResourceDefinition', 'PriorityClass'];

/** Every object says its namespace itself: some tools apply what helm renders without one. */
function checkNamespace(object: KubeObject): string[] {
  const { namespace } = object.metadata;
  if (CLUSTER_KINDS.includes(object.kind)) return [];
  return namespace === RELEASE ? [] : [`${nameOf(object)}: its namespace is ${namespace}`];
}

function checkOwnSelector({ name, object, labels, spec }: Workload, { workloads, has }: Context): string[] {
  const problems: string[] = [];
  const { selector, serviceName } = object.spec as { selector?: LabelSelector; serviceName?: string };
  if (object.kind !== 'Pod') {
    if (!selects(selector, labels)) problems.push(`${name}: its selector does not match its pods`);
    const others = workloads.filter((other) => other.name !== name && selects(selector, other.labels));
    problems.push(...others.map((other) => `${name}: its selector also matches the pods of ${other.name}`));
  }
  if (object.kind === 'StatefulSet' && !has('Service', serviceName))
    problems.push(`${name}: no service ${serviceName}`);
  for (const { labelSelector } of spec.topologySpreadConstraints ?? []) {
    if (!selects(labelSelector, labels))
      problems.push(`${name}: a spread constraint does not match its own pods`);
  }
  if (spec.priorityClassName !== undefined && !has('PriorityClass', spec.priorityClassName))
    problems.push(`${name}: no priority class ${spec.priorityClassName}`);
  return problems;
}

function checkVolumes({ name, spec, claimTemplates }: Workload, context: Context): string[] {
  const mounted = new Set(
    [...(spec.initContainers ?? []), ...spec.containers].flatMap(({ volumeMounts = [] }) =>
      volumeMounts.map((mount) => mount.name),
    ),
  );
  const volumes = [...(spec.volumes ?? []).map((volume) => volume.name), ...claimTemplates];
  const unused = volumes.filter((volume) => !mounted.has(volume));
  const missing = (spec.volumes ?? []).flatMap(({ configMap, secret, persistentVolumeClaim: claim }) => [
    ...(configMap && !context.has('ConfigMap', configMap.name) ? [`no config map ${configMap.name}`] : []),
    ...(secret && !hasSecret(secret.secretName, context) ? [`no secret ${secret.secretName}`] : []),
    ...(claim && !context.has('PersistentVolumeClaim', claim.claimName)
      ? [`no claim ${claim.claimName}`]
      : []),
  ]);
  return [...unused.map((volume) => `volume ${volume} is not mounted`), ...missing].map(
    (problem) => `${name}: ${problem}`,
  );
}

/** A secret is there when the chart or a certificate makes it. */
function hasSecret(name: string | undefined, { objects, has }: Context): boolean {
  if (has('Secret', name)) return true;
  const made = objects
    .filter(({ kind }) => kind === 'Certificate')
    .map(({ spec }) => (spec as { secretName: string }).secretName);
  return name !== undefined && made.includes(name);
}

function checkMounts({ volumeMounts = [] }: IContainer, { spec, claimTemplates }: Workload): string[] {
  const volumes = [...(spec.volumes ?? []).map(({ name }) => name), ...claimTemplates];
  const paths = volumeMounts.map(({ mountPath }) => mountPath);
  return [
    ...volumeMounts.filter(({ name }) => !volumes.includes(name)).map(({ name }) => `no volume ${name}`),
    ...paths.filter((path, index) => paths.indexOf(path) !== index).map((path) => `two mounts at ${path}`),
  ];
}

function checkEnvironment(container: IContainer, context: Context): string[] {
  const problems: string[] = [];
  for (const { configMapRef, secretRef } of container.envFrom ?? []) {
    if (configMapRef && !context.has('ConfigMap', configMapRef.name))
      problems.push(`no config map ${configMapRef.name}`);
    if (secretRef && !hasSecret(secretRef.name, context)) problems.push(`no secret ${secretRef.name}`);
  }
  for (const { name, valueFrom } of container.env ?? []) {
    const { configMapKeyRef: map, secretKeyRef: secret, resourceFieldRef: field } = valueFrom ?? {};
    if (map && !(map.key in configMapData(context.objects, map.name)))
      problems.push(`${name}: no key ${map.key} in config map ${map.name}`);
    if (secret && !hasSecret(secret.name, context)) problems.push(`${name}: no secret ${secret.name}`);
    if (field !== undefined && resourceOf(container, field.resource) === undefined)
      problems.push(`${name}: the container sets no ${field.resource}`);
  }
  const environment = environmentOf(container, context.objects);
  for (const text of [...(container.command ?? []), ...(container.args ?? [])]) {
    for (const [, name = ''] of text.matchAll(/(?<!\$)\$\(([A-Za-z_][A-Za-z0-9_]*)\)/g))
      if (!environment.has(name)) problems.push(`${text}: no variable ${name}`);
  }
  for (const [name, value] of environment) problems.push(...checkHost(name, value, context));
  return problems;
}

/** A URL to a service of the cluster: it must be there, with that port. */
function checkHost(name: string, value: string | null, { objects }: Context): string[] {
  if (value === null || !/^(nats|tls|grpc|http):\/\//.test(value)) return [];
  const { hostname, port } = new URL(value);
  const service = objects.find(({ kind, metadata }) => kind === 'Service' && metadata.name === hostname);
  if (service === undefined) return [`${name}=${value}: no service ${hostname}`];
  const { ports } = service.spec as { ports: readonly { port: number }[] };
  return ports.some((each) => each.port === Number(port))
    ? []
    : [`${name}=${value}: the service has no port ${port}`];
}

function checkProbes(container: IContainer): string[] {
  const { startupProbe, readinessProbe, livenessProbe, ports = [] } = container;
  const isKnown = (port: string | number | undefined) =>
    ports.some(({ name, containerPort }) => name === port || containerPort === port);
  return Object.entries({ startupProbe, readinessProbe, livenessProbe }).flatMap(([name, probe]) => {
    const port = probe?.httpGet?.port ?? probe?.tcpSocket?.port ?? probe?.grpc?.port;
    return port === undefined || isKnown(port) ? [] : [`${name}: the container has no port ${port}`];
  });
}

/** The pods that a selector finds: labels, and ports by name. */
function podsOf(selector: LabelSelector | undefined, { workloads }: Context): PodKind[] {
  const all = workloads.map((workload) => ({
    labels: workload.labels,
    ports: Object.fromEntries(
      containersOf(workload)
        .flatMap(({ ports = [] }) => ports)
        .map(({ name, containerPort }) => [name ?? String(containerPort), containerPort]),
    ),
  }));
  return all.filter(({ labels }) => selects(selector, labels));
}

function lacksPort(pods: readonly PodKind[], port: string | number): boolean {
  return !pods.some(({ ports }) =>
    typeof port === 'number' ? Object.values(ports).includes(port) : port in ports,
  );
}

function checkObject({ kind, spec }: KubeObject, context: Context): string[] {
  switch (kind) {
    case 'Service': {
      const { selector, ports } = spec as ServiceSpec;
      const pods = podsOf({ matchLabels: selector }, context);
      if (pods.length === 0) return ['its selector matches no pods'];
      return ports
        .filter(({ port, targetPort = port }) => lacksPort(pods, targetPort))
        .map(({ port, targetPort = port }) => `its pods have no port ${targetPort}`);
    }
    case 'PodDisruptionBudget':
    case 'PodMonitor': {
      const { selector, podMetricsEndpoints = [] } = spec as MonitorSpec;
      const pods = podsOf(selector, context);
      if (pods.length === 0) return ['its selector matches no pods'];
      return pods.flatMap(({ ports }) =>
        podMetricsEndpoints
          .filter(({ port }) => !(port in ports))
          .map(({ port }) => `not all of its pods have a port ${port}`),
      );
    }
    case 'NetworkPolicy':
      return checkPolicy(spec as PolicySpec, context);
    case 'ScaledObject':
    case 'HorizontalPodAutoscaler':
      return checkScaling(spec as ScalingSpec, context);
    case 'Certificate': {
      const { issuerRef } = spec as { issuerRef: { name: string } };
      return context.has('Issuer', issuerRef.name) ? [] : [`no issuer ${issuerRef.name}`];
    }
    case 'Issuer': {
      const { ca } = spec as { ca?: { secretName: string } };
      return ca === undefined || hasSecret(ca.secretName, context) ? [] : [`no secret ${ca.secretName}`];
    }
    default:
      return [];
  }
}

interface ServiceSpec {
  readonly selector: Readonly<Record<string, string>>;
  readonly ports: readonly { readonly port: number; readonly targetPort?: string | number }[];
}
interface MonitorSpec {
  readonly selector: LabelSelector;
  readonly podMetricsEndpoints?: readonly { readonly port: string }[];
}
interface PolicyRule {
  readonly ports?: readonly { readonly port: string | number }[];
  readonly to?: readonly {
    readonly podSelector?: LabelSelector;
    readonly namespaceSelector?: LabelSelector;
  }[];
}
interface PolicySpec {
  readonly podSelector: LabelSelector;
  readonly ingress?: readonly PolicyRule[];
  readonly egress?: readonly PolicyRule[];
}
interface ScalingSpec {
  readonly scaleTargetRef: { readonly kind?: string; readonly name: string };
}

function checkPolicy({ podSelector, ingress = [], egress = [] }: PolicySpec, context: Context): string[] {
  const pods = podsOf(podSelector, context);
  if (pods.length === 0) return ['its selector matches no pods'];
  const ports = (rules: readonly PolicyRule[]) =>
    rules.flatMap((rule) => rule.ports ?? []).map(({ port }) => port);
  const closed = ports(ingress).filter((port) => lacksPort(pods, port));
  const outward = egress.flatMap((rule) =>
    (rule.to ?? [])
      .filter(({ namespaceSelector }) => namespaceSelector === undefined)
      .flatMap((peer) => {
        const found = podsOf(peer.podSelector, context);
        if (found.length === 0) return ['an egress rule matches no pods'];
        return ports([rule])
          .filter((port) => lacksPort(found, port))
          .map((port) => `an egress rule: those pods have no port ${port}`);
      }),
  );
  return [...closed.map((port) => `its pods have no port ${port}`), ...outward];
}

function checkScaling(
  { scaleTargetRef: { kind = 'Deployment', name } }: ScalingSpec,
  { objects }: Context,
): string[] {
  const target = objects.find((object) => nameOf(object) === `${kind}/${name}`);
  if (target === undefined) return [`no ${kind} ${name}`];
  const { replicas } = target.spec as { replicas?: number };
  return replicas === undefined ? [] : [`${kind} ${name} sets replicas: applying it again would scale it`];
}
