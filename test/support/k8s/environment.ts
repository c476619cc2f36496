/** A container's settings in the manifests: its environment, and its share of the machine. */
import type { IContainer } from 'kubernetes-models/v1/Container';
import type { KubeObject } from './objects.ts';

/** Names and values that a container's environment has, as far as the manifests tell; null for what the pod decides. */
export function environmentOf(
  container: IContainer,
  objects: readonly KubeObject[],
): Map<string, string | null> {
  const environment = new Map<string, string | null>();
  for (const { configMapRef } of container.envFrom ?? []) {
    for (const [key, value] of Object.entries(configMapData(objects, configMapRef?.name)))
      environment.set(key, value);
  }
  for (const { name, value, valueFrom } of container.env ?? [])
    environment.set(name, valueFrom === undefined ? (value ?? '') : null);
  return environment;
}

/** Data of a config map; empty if there is none of that name. */
export function configMapData(
  objects: readonly KubeObject[],
  name: string | undefined,
): Readonly<Record<string, string>> {
  const found = objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === name);
  return (found?.data ?? {}) as Readonly<Record<string, string>>;
}

/** `requests.cpu` of a container. */
export function resourceOf({ resources = {} }: IContainer, path: string): string | number | undefined {
  const [list, name = ''] = path.split('.');
  return (list === 'limits' ? resources.limits : resources.requests)?.[name];
}
