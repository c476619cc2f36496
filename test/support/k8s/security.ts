/** The rules for every pod: the restricted pod security standard, and a little more. */
import type { IContainer } from 'kubernetes-models/v1/Container';
import { containersOf, type Workload } from './objects.ts';

/** Problems, each naming the workload. */
export function checkSecurity(workload: Workload): string[] {
  const { name, spec } = workload;
  const pod = spec.securityContext ?? {};
  const problems = [
    ...must(pod.runAsNonRoot === true, 'runAsNonRoot is not set'),
    ...must((pod.runAsUser ?? 0) > 0, 'runAsUser is not a number above 0'),
    ...must(pod.seccompProfile?.type === 'RuntimeDefault', 'seccompProfile is not RuntimeDefault'),
    ...must(
      spec.automountServiceAccountToken === false || spec.serviceAccountName !== undefined,
      'it gets the token of a service account that is not its own',
    ),
    ...must(spec.enableServiceLinks === false, 'it gets addresses of all services as environment'),
    ...must(!spec.hostNetwork && !spec.hostPID && !spec.hostIPC, "it shares its machine's namespaces"),
    ...(spec.volumes ?? []).flatMap((volume) => [
      ...must(volume.hostPath === undefined, `volume ${volume.name} is a folder of the machine`),
      ...must(
        !volume.secret || ((volume.secret.defaultMode ?? 0o644) & 0o007) === 0,
        `volume ${volume.name}: everybody in the pod can read the secret`,
      ),
      ...must(
        !volume.emptyDir || volume.emptyDir.sizeLimit !== undefined,
        `volume ${volume.name} may fill its machine`,
      ),
    ]),
    ...containersOf(workload).flatMap((container) =>
      checkContainer(container, workload).map((problem) => `${container.name}: ${problem}`),
    ),
    ...(spec.restartPolicy === 'Never' || spec.containers[0] === undefined
      ? [] // it ends by itself
      : checkLife(spec.containers[0], spec.terminationGracePeriodSeconds ?? 30)),
  ];
  return problems.map((problem) => `${name}: ${problem}`);
}

function checkContainer(container: IContainer, { spec }: Workload): string[] {
  const { image = '', resources = {}, volumeMounts = [], ports = [] } = container;
  const own = container.securityContext ?? {};
  const writable = volumeMounts.filter(({ readOnly }) => readOnly !== true).map(({ name }) => name);
  const secrets = (spec.volumes ?? []).filter(({ secret, configMap }) => secret ?? configMap);
  return [
    ...must(own.allowPrivilegeEscalation === false, 'may gain privileges'),
    ...must(own.readOnlyRootFilesystem === true, 'its root is writable'),
    ...must(own.capabilities?.drop?.includes('ALL') === true, 'keeps capabilities'),
    ...must((own.capabilities?.add ?? []).length === 0, 'adds capabilities'),
    ...must(!own.privileged, 'is privileged'),
    ...must(/[:@](?!latest$)[^:/]+$/.test(image), `its image ${image} is not pinned`),
    ...must(resources.requests?.cpu !== undefined, 'asks for no processor time'),
    ...must(resources.requests?.memory !== undefined, 'asks for no memory'),
    ...must(resources.limits?.memory !== undefined, 'has no limit of memory'),
    ...must(
      ports.every(({ containerPort }) => containerPort >= 1024),
      'listens at a privileged port',
    ),
    ...secrets
      .filter(({ name }) => writable.includes(name))
      .map(({ name }) => `mounts ${name} not read-only`),
  ];
}

/**
 * Probes, and time to end: kill comes only after the hook, and then what the program itself gives its actors. A hook that
 * fails has used up its own time.
 */
function checkLife(container: IContainer, graceSeconds: number): string[] {
  const { startupProbe, readinessProbe, livenessProbe, lifecycle, args = [], ports = [] } = container;
  const isAsked = ports.some(({ name = '' }) => !['health', 'metrics'].includes(name)); // nothing must be handed over elsewhere
  const grace = Number(/^--grace=(\d+)$/m.exec(args.join('\n'))?.[1] ?? 0);
  const hook = lifecycle?.preStop?.exec?.command?.join(' ');
  const hookSeconds = Number(/(?:^sleep|--grace) (\d+)$/.exec(hook ?? '')?.[1] ?? (isAsked ? NaN : 0));
  const liveness = livenessProbe?.grpc;
  return [
    ...must(startupProbe !== undefined, 'has no startup probe'),
    ...must(readinessProbe !== undefined, 'has no readiness probe'),
    ...must(livenessProbe !== undefined, 'has no liveness probe'),
    ...must(
      liveness === undefined || liveness.service === 'liveness',
      'its liveness probe asks for readiness: a node that drains would be killed in the middle of its work',
    ),
    ...must(hookSeconds >= 0, 'has no preStop hook that says how long it takes'),
    ...must(
      graceSeconds >= hookSeconds + grace + 15,
      `is killed after ${graceSeconds} s: its hook takes ${hookSeconds}, then --grace is ${grace}`,
    ),
  ];
}

function must(isFulfilled: boolean, problem: string): string[] {
  return isFulfilled ? [] : [problem];
}
