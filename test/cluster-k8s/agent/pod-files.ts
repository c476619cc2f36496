/** What a pod gets from the API server: the environment of its containers, and the files of its volumes. */
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type {
  CoreV1Api,
  V1Container,
  V1EnvVar,
  V1ObjectFieldSelector,
  V1Pod,
  V1ProjectedVolumeSource,
  V1Volume,
} from '@kubernetes/client-node';
import type { IContainer } from 'kubernetes-models/v1/Container';
import { CONTAINER_PATH, natsServer } from '../../support/k8s/containers.ts';
import { imageOf, inUnits } from '../../support/k8s/local-pod.ts';
import { bind, type Mount, SYSTEM_FOLDERS, USER } from '../../support/k8s/runc.ts';

export interface PodPlace {
  readonly api: CoreV1Api;
  /** The pod's own folder. */
  readonly folder: string;
  readonly address: string;
  /** The file that stands for the cluster's DNS. */
  readonly hosts: string;
  /** Where the API server is, as every pod's environment says. */
  readonly apiServer: { readonly host: string; readonly port: number };
}

/** @throws Error where something that the container names is not there (yet). */
export async function environmentOf(
  container: V1Container,
  pod: V1Pod,
  place: PodPlace,
): Promise<Map<string, string>> {
  const { host, port } = place.apiServer;
  const environment = new Map([
    ['PATH', CONTAINER_PATH],
    ['KUBERNETES_SERVICE_HOST', host],
    ['KUBERNETES_SERVICE_PORT', String(port)],
    ...Object.entries(imageOf(container as IContainer).environment),
  ]);
  for (const { configMapRef, secretRef } of container.envFrom ?? []) {
    const found = configMapRef
      ? await configMap(configMapRef.name!, pod, place)
      : await secret(secretRef!.name!, pod, place);
    for (const [name, value] of Object.entries(found)) environment.set(name, value.toString());
  }
  for (const variable of container.env ?? [])
    environment.set(variable.name, await valueOf(variable, container, pod, place));
  return environment;
}

async function valueOf(
  { name, value = '', valueFrom }: V1EnvVar,
  container: V1Container,
  pod: V1Pod,
  place: PodPlace,
): Promise<string> {
  if (valueFrom === undefined) return value;
  const { fieldRef, resourceFieldRef, secretKeyRef, configMapKeyRef } = valueFrom;
  if (fieldRef) return fieldOf(fieldRef, pod, place);
  if (resourceFieldRef) {
    const [list, resource = ''] = resourceFieldRef.resource.split('.');
    const { limits, requests } = container.resources ?? {};
    return String(inUnits((list === 'limits' ? limits : requests)?.[resource] ?? ''));
  }
  const [key, found] = secretKeyRef
    ? [secretKeyRef.key, await secret(secretKeyRef.name!, pod, place)]
    : [configMapKeyRef!.key, await configMap(configMapKeyRef!.name!, pod, place)];
  if (found[key] === undefined) throw new Error(`${name}: its source has no key ${key}`);
  return found[key].toString();
}

function fieldOf({ fieldPath }: V1ObjectFieldSelector, { metadata, spec }: V1Pod, place: PodPlace): string {
  switch (fieldPath) {
    case 'metadata.name':
      return metadata?.name ?? '';
    case 'metadata.namespace':
      return metadata?.namespace ?? '';
    case 'spec.nodeName':
      return spec?.nodeName ?? '';
    case 'status.podIP':
      return place.address;
    default:
      throw new Error(`field ${fieldPath} is not known here`);
  }
}

type Files = Readonly<Record<string, Buffer>>;

async function secret(name: string, { metadata }: V1Pod, { api }: PodPlace): Promise<Files> {
  const { data = {} } = await api.readNamespacedSecret({ name, namespace: metadata!.namespace! });
  return Object.fromEntries(Object.entries(data).map(([key, text]) => [key, Buffer.from(text, 'base64')]));
}

async function configMap(name: string, { metadata }: V1Pod, { api }: PodPlace): Promise<Files> {
  const { data = {}, binaryData = {} } = await api.readNamespacedConfigMap({
    ...{ name, namespace: metadata!.namespace! },
  });
  return Object.fromEntries([
    ...Object.entries(data).map(([key, text]) => [key, Buffer.from(text)] as const),
    ...Object.entries(binaryData).map(([key, text]) => [key, Buffer.from(text, 'base64')] as const),
  ]);
}

/** Makes the pod's volumes; gives their folders by name. Files belong to the pod's group, as `fsGroup` has it. */
export async function makeVolumes(pod: V1Pod, place: PodPlace): Promise<ReadonlyMap<string, string>> {
  const folders = new Map<string, string>();
  for (const volume of pod.spec?.volumes ?? [])
    folders.set(volume.name, await makeVolume(volume, pod, place));
  return folders;
}

async function makeVolume(volume: V1Volume, pod: V1Pod, place: PodPlace): Promise<string> {
  const claim = volume.persistentVolumeClaim?.claimName;
  if (claim !== undefined) return folderOfClaim(claim, pod, place);
  const path = join(place.folder, volume.name);
  mkdirSync(path, { recursive: true });
  chownSync(path, USER, USER);
  const mode = volume.secret?.defaultMode ?? volume.configMap?.defaultMode ?? volume.projected?.defaultMode;
  for (const [name, content] of Object.entries(await filesOf(volume, pod, place))) {
    const file = join(path, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    chownSync(file, 0, USER);
    chmodSync(file, mode ?? 0o644);
  }
  return path;
}

async function filesOf(volume: V1Volume, pod: V1Pod, place: PodPlace): Promise<Files> {
  const { secret: secretSource, configMap: mapSource, projected, emptyDir } = volume;
  if (secretSource) return secret(secretSource.secretName!, pod, place);
  if (mapSource) return configMap(mapSource.name!, pod, place);
  if (projected) return projectedFiles(projected, pod, place);
  if (emptyDir) return {};
  throw new Error(`volume ${volume.name} is of no known kind`);
}

async function projectedFiles(
  { sources = [] }: V1ProjectedVolumeSource,
  pod: V1Pod,
  place: PodPlace,
): Promise<Files> {
  const files: Record<string, Buffer> = {};
  for (const { serviceAccountToken, configMap: map, downwardAPI } of sources) {
    if (serviceAccountToken) {
      const { metadata, spec } = pod;
      const answer = await place.api.createNamespacedServiceAccountToken({
        ...{ name: spec!.serviceAccountName!, namespace: metadata!.namespace! },
        body: { spec: { audiences: [], expirationSeconds: 24 * 3600 } },
      });
      files[serviceAccountToken.path] = Buffer.from(answer.status!.token);
    }
    if (map) Object.assign(files, await configMap(map.name!, pod, place));
    for (const { path, fieldRef } of downwardAPI?.items ?? [])
      files[path] = Buffer.from(fieldOf(fieldRef!, pod, place));
  }
  return files;
}

/** Of the volume that the claim is bound to: a path of this machine. */
async function folderOfClaim(name: string, { metadata }: V1Pod, { api }: PodPlace): Promise<string> {
  const claim = await api.readNamespacedPersistentVolumeClaim({ name, namespace: metadata!.namespace! });
  const volume = await api.readPersistentVolume({ name: claim.spec!.volumeName! });
  const path = volume.spec?.hostPath?.path;
  if (path === undefined) throw new Error(`volume ${claim.spec!.volumeName} is no path of this machine`);
  return path;
}

export function mountsOf(
  container: V1Container,
  folders: ReadonlyMap<string, string>,
  { hosts, message }: { readonly hosts: string; readonly message: string },
): Mount[] {
  const messagePath = container.terminationMessagePath ?? '/dev/termination-log';
  const mounts = [bind(hosts, '/etc/hosts', true), bind(message, messagePath, false)];
  for (const { name, mountPath, readOnly = false } of container.volumeMounts ?? []) {
    if (!SYSTEM_FOLDERS.includes(mountPath)) mounts.push(bind(folders.get(name)!, mountPath, readOnly));
  }
  if (container.image?.startsWith('nats:'))
    mounts.push(bind(natsServer(), '/usr/local/bin/nats-server', true));
  return mounts;
}
