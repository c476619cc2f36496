/**
 * A container of a rendered manifest as a process of this machine: the image's entry point, the manifest's arguments and
 * environment, with what the kubelet would fill in (fields of the pod, resources) filled in for loopback. Ports and
 * folders are others than in the pod, as several pods share this machine; nothing else is changed.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { IContainer } from 'kubernetes-models/v1/Container';
import type { IEnvVar } from 'kubernetes-models/v1/EnvVar';
import { keepPort } from '../ports.ts';
import { imageConfig, readStages } from './dockerfile.ts';
import { environmentOf, resourceOf } from './environment.ts';
import type { KubeObject, Workload } from './objects.ts';

export interface Place {
  /** An empty folder for the pod's volumes. */
  readonly folder: string;
  /** Folders that pods share, by claim. */
  readonly claims: Readonly<Record<string, string>>;
  /** Files of secrets, by secret and key. */
  readonly secrets: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** host:port of this machine for host:port of a service. */
  readonly services: Readonly<Record<string, string>>;
}

export interface LocalContainer {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Of this machine, by the container's. */
  readonly ports: ReadonlyMap<number, number>;
  /** The container's ports by name. */
  readonly portNames: Readonly<Record<string, number>>;
  /** The command of the hook before the end; empty for none. */
  readonly preStop: readonly string[];
}

const POD_IP = '127.0.0.1';

/** Makes the volumes, chooses ports, and fills everything in. */
export async function localContainer(
  workload: Workload,
  objects: readonly KubeObject[],
  place: Place,
): Promise<LocalContainer> {
  const [container] = workload.spec.containers;
  if (container === undefined) throw new Error(`${workload.name} has no container`);
  const ports = new Map<number, number>();
  for (const { containerPort } of container.ports ?? []) ports.set(containerPort, await keepPort());
  const mounts = mountsOf(container, workload, place);
  const move = (text: string) => relocate(text, { ports, mounts, services: place.services });
  writeFiles(container, workload, { objects, place, mounts, move });

  const podName = `${workload.object.metadata.name}-5f7d9c6b8-x2x7k`;
  const filled = new Map<string, string>();
  for (const [name, value] of environmentOf(container, objects)) {
    const source = container.env?.find((variable) => variable.name === name);
    filled.set(name, value === null ? fieldValue(source, container, podName, place) : move(value));
  }
  const expand = (text: string) =>
    move(text.replace(/\$\(([A-Za-z0-9_]+)\)/g, (whole, name: string) => filled.get(name) ?? whole));
  const image = imageOf(container);
  return {
    command: [...(container.command ?? image.entrypoint), ...(container.args ?? [])].map(expand),
    environment: { ...image.environment, ...Object.fromEntries(filled) },
    ports,
    portNames: Object.fromEntries(
      (container.ports ?? []).map(({ name = '', containerPort }) => [name, containerPort]),
    ),
    preStop: (container.lifecycle?.preStop?.exec?.command ?? []).map(move),
  };
}

/** Entry point and environment of `…/TARGET:TAG`; empty for images of others. */
export function imageOf({ image = '' }: IContainer) {
  const target = /\b(ballast(?:-\w+)*)[:@]/.exec(image)?.[1];
  return target === undefined ? { entrypoint: [], environment: {} } : imageConfig(readStages(), target);
}

/** As the kubelet tells a container about its pod and its share of the machine. */
export function fieldValue(
  variable: IEnvVar | undefined,
  container: IContainer,
  podName: string,
  { secrets }: Pick<Place, 'secrets'>,
  podIp = POD_IP,
): string {
  const { fieldRef, resourceFieldRef, secretKeyRef } = variable?.valueFrom ?? {};
  const secret = secrets[secretKeyRef?.name ?? '']?.[secretKeyRef?.key ?? ''];
  if (secret !== undefined) return secret;
  if (fieldRef?.fieldPath === 'metadata.name') return podName;
  if (fieldRef?.fieldPath === 'status.podIP') return podIp;
  if (resourceFieldRef !== undefined)
    return String(inUnits(resourceOf(container, resourceFieldRef.resource) ?? ''));
  throw new Error(`${variable?.name}: its source is not known here`);
}

const SUFFIXES: Readonly<Record<string, number>> = { m: 0.001, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, '': 1 };

/** A quantity as a whole number, rounded up as the kubelet does. */
export function inUnits(quantity: string | number): number {
  const [, amount = '', suffix = ''] = /^([\d.]+)(\D*)$/.exec(String(quantity)) ?? [];
  const factor = SUFFIXES[suffix];
  if (amount === '' || factor === undefined) throw new Error(`quantity ${quantity} is not understood`);
  return Math.ceil(Number(amount) * factor);
}

/** Mount paths that the program names or writes to, with folders of this machine. */
function mountsOf(container: IContainer, { spec }: Workload, { folder, claims }: Place): Map<string, string> {
  const mounts = new Map<string, string>();
  for (const { name, mountPath } of container.volumeMounts ?? []) {
    if (['/tmp', '/dev/shm'].includes(mountPath)) continue; // every machine has its own
    const claim = spec.volumes?.find((volume) => volume.name === name)?.persistentVolumeClaim?.claimName;
    const path = (claim === undefined ? undefined : claims[claim]) ?? join(folder, name);
    mkdirSync(path, { recursive: true });
    mounts.set(mountPath, path);
  }
  return mounts;
}

interface Moves {
  readonly ports: ReadonlyMap<number, number>;
  readonly mounts: ReadonlyMap<string, string>;
  readonly services: Readonly<Record<string, string>>;
}

/** Paths under mounts, ports in `--x-port=N` and `:N`, services and the wildcard address. */
function relocate(text: string, { ports, mounts, services }: Moves): string {
  let moved = text;
  for (const [name, address] of Object.entries(services))
    moved = moved.replaceAll(`//${name}`, `//${address}`);
  if (moved !== text) return moved;
  for (const [mountPath, path] of mounts)
    moved = moved.replace(new RegExp(`(?<![\\w.-])${mountPath}(?=[/"\\s,]|$)`, 'g'), path);
  for (const [port, local] of ports)
    moved = moved.replace(new RegExp(`(port[=:] ?|:)${port}(?![0-9])`, 'g'), `$1${local}`);
  return moved.replaceAll('0.0.0.0', POD_IP);
}

interface Files {
  readonly objects: readonly KubeObject[];
  readonly place: Place;
  readonly mounts: ReadonlyMap<string, string>;
  readonly move: (text: string) => string;
}

/** Files of config maps and secrets, with the mode that the volume says. */
function writeFiles(
  container: IContainer,
  { spec }: Workload,
  { objects, place, mounts, move }: Files,
): void {
  for (const { name, mountPath } of container.volumeMounts ?? []) {
    const volume = spec.volumes?.find((each) => each.name === name);
    const path = mounts.get(mountPath);
    if (path === undefined) continue;
    const map = objects.find(
      ({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === volume?.configMap?.name,
    );
    for (const [key, text] of Object.entries((map?.data ?? {}) as Record<string, string>))
      writeFileSync(join(path, key), move(text));
    const secret = volume?.secret;
    if (secret === undefined) continue;
    const files = place.secrets[secret.secretName ?? ''];
    if (files === undefined) throw new Error(`secret ${secret.secretName}: the test makes none`);
    for (const [key, text] of Object.entries(files))
      writeFileSync(join(path, key), text, { mode: secret.defaultMode ?? 0o644 });
  }
}
