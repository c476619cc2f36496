/** Files of operators, out of the Go modules of their releases: definitions of their kinds, and manifests. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../../common/package-root.ts';
import type { Cluster } from './control-plane.ts';

/** The versions of k8s/versions.env. */
export const PINS = Object.fromEntries(
  [...readFileSync(join(packageRoot(), 'k8s/versions.env'), 'utf8').matchAll(/^([A-Z0-9_]+)=(.*)$/gm)].map(
    ([, name, value]) => [name!, value!],
  ),
);

export const KEDA_MODULE = `github.com/kedacore/keda/v2@v${PINS['KEDA']}`;
export const CERT_MANAGER_MODULE = `github.com/cert-manager/cert-manager@v${PINS['CERT_MANAGER']}`;

/** Where the definitions of the kinds that the chart uses are. */
const DEFINITIONS = {
  'keda': [KEDA_MODULE, 'config/crd/bases', /scaledobjects/],
  'cert-manager': [CERT_MANAGER_MODULE, 'deploy/crds', /certificates|issuers/],
  'prometheus-operator': ['github.com/prometheus-operator/prometheus-operator@v0.85.0', 'example/prometheus-operator-crd', /podmonitors|prometheusrules/],
} as const; // prettier-ignore

export type Operator = keyof typeof DEFINITIONS;

/** The folder of a module, which Go fetches where it is not there. @throws Error with what Go says. */
export function moduleFolder(module: string): string {
  const flags = { encoding: 'utf8', cwd: tmpdir() } as const;
  return (JSON.parse(execFileSync('go', ['mod', 'download', '-json', module], flags)) as { Dir: string }).Dir;
}

/** Makes the kinds of operators known to a cluster. @throws Error with what kubectl says, warnings too. */
export function createDefinitions(cluster: Cluster, operators: readonly Operator[]): void {
  for (const operator of operators) {
    const [module, path, pattern] = DEFINITIONS[operator];
    const folder = join(moduleFolder(module), path);
    const files = readdirSync(folder).filter((file) => pattern.test(file));
    if (files.length === 0) throw new Error(`${module} has no ${path}`);
    for (const file of files) {
      const { status, errors } = cluster.kubectl(['create', '-f', join(folder, file)]);
      if (status !== 0 || errors !== '') throw new Error(errors);
    }
  }
}
