/** A pod beside the release that runs a short program of Ballast's image, as restricted as the release's own. */
import type { V1Deployment, V1Pod, V1Volume } from '@kubernetes/client-node';

const FOLDERS = '/e2e';

export interface HelperPod {
  readonly name: string;
  readonly namespace: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly command: readonly string[];
  /** By name: each is the folder `/e2e/NAME`. */
  readonly volumes?: Readonly<Record<string, Omit<V1Volume, 'name'>>>;
  readonly readOnly?: boolean;
  readonly port?: number;
}

/** How it ended; the message is what it wrote to /dev/termination-log. */
export interface HelperEnd {
  readonly code: number;
  readonly message: string;
}

/** Like a pod of `pattern`, a Deployment of the release, it has its image and goes to its nodes. */
export function helperPod(
  { name, namespace, labels = {}, command, volumes = {}, readOnly = false, port }: HelperPod,
  pattern: V1Deployment,
): V1Pod {
  const { containers, imagePullSecrets, nodeSelector, tolerations } = pattern.spec!.template.spec!;
  const { image, imagePullPolicy } = containers[0]!;
  const names = Object.keys(volumes);
  return {
    ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace, labels: { ...labels } } },
    spec: {
      ...{ restartPolicy: 'Never', automountServiceAccountToken: false, terminationGracePeriodSeconds: 5 },
      ...{ imagePullSecrets, nodeSelector, tolerations },
      securityContext: {
        ...{ runAsNonRoot: true, runAsUser: 10001, runAsGroup: 10001, fsGroup: 10001 },
        seccompProfile: { type: 'RuntimeDefault' },
      },
      volumes: names.map((each) => ({ name: each, ...volumes[each] })),
      containers: [
        {
          ...{ name: 'program', image, imagePullPolicy, command: [...command] },
          resources: { requests: { cpu: '50m', memory: '64Mi' }, limits: { memory: '256Mi' } },
          securityContext: {
            ...{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true },
            capabilities: { drop: ['ALL'] },
          },
          volumeMounts: names.map((each) => ({ name: each, mountPath: `${FOLDERS}/${each}`, readOnly })),
          ports: port === undefined ? [] : [{ containerPort: port }],
        },
      ],
    },
  };
}

/** Null as long as it runs. */
export function endOf({ status }: V1Pod): HelperEnd | null {
  if (!['Succeeded', 'Failed'].includes(status?.phase ?? '')) return null;
  const { exitCode = -1, message = status?.message ?? '' } =
    status?.containerStatuses?.[0]?.state?.terminated ?? {};
  return { code: exitCode, message };
}

/** The command of a program of Node; its arguments are `process.argv.slice(1)`. */
export function nodeCommand(program: string, ...args: readonly string[]): string[] {
  return ['node', '-e', program, ...args];
}
