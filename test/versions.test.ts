// k8s/versions.env against every place that has to repeat a version.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { packageRoot } from '../common/package-root.ts';
import { PINS } from './support/k8s/modules.ts';

const text = (...path: string[]) => readFileSync(join(packageRoot(), ...path), 'utf8');

it('the package, the chart and the images have one version', () => {
  const chart = parse(text('k8s', 'chart', 'Chart.yaml')) as {
    version: string;
    appVersion: string;
    kubeVersion: string;
  };
  const { version } = JSON.parse(text('package.json')) as { version: string };
  expect([version, chart.version, chart.appVersion]).toEqual(Array(3).fill(PINS.BALLAST));
  expect(chart.kubeVersion).toBe(`>=${PINS.KUBERNETES_MIN}.0-0`);
});

it('the Dockerfile begins from those bases', () => {
  const bases = [...text('Dockerfile').matchAll(/^ARG (\w+_IMAGE)=(.*)$/gm)].map(([, name, value]) => [
    name,
    value,
  ]);
  expect(bases.length).toBe(4);
  for (const [name, value] of bases) expect(value, name).toBe(PINS[name!]);
  expect(text('k8s', 'data-loader.yaml')).toContain(`image: ${PINS.DEBIAN_IMAGE}\n`);
});

it('the chart runs that NATS', () => {
  const { nats } = parse(text('k8s', 'chart', 'values.yaml')) as {
    nats: { image: Image; exporter: { image: Image } };
  };
  const name = ({ repository, tag }: Image) => `${repository}:${tag}`;
  expect(name(nats.image)).toBe(PINS.NATS_IMAGE);
  expect(name(nats.exporter.image)).toBe(PINS.NATS_EXPORTER_IMAGE);
});

interface Image {
  readonly repository: string;
  readonly tag: string;
}

it('the chart refuses an older KEDA, as documented', () => {
  expect(text('k8s', 'chart', 'templates', '_checks.tpl')).toContain(
    `semverCompare ">=${PINS.KEDA_MIN}.0-0"`,
  );
  const doc = text('docs', 'kubernetes.md');
  const told = 'KUBERNETES_MIN KUBERNETES ETCD CONTAINERD COREDNS KEDA_MIN CERT_MANAGER_MIN HELM';
  for (const name of told.split(' ')) expect(doc.includes(PINS[name]!), `${name} ${PINS[name]}`).toBe(true);
});

it('the cluster of tests is built from those modules', () => {
  const modules = {
    kubernetes: `k8s.io/kubernetes v${PINS.KUBERNETES}`,
    etcd: `go.etcd.io/etcd/server/v3 v${PINS.ETCD}`,
    containerd: `github.com/containerd/containerd/v2 v${PINS.CONTAINERD}`,
    coredns: `github.com/coredns/coredns v${PINS.COREDNS}`,
    'cert-manager': `github.com/cert-manager/cert-manager v${PINS.CERT_MANAGER}`,
  };
  for (const [folder, module] of Object.entries(modules))
    expect(text('test', 'cluster-k8s', folder, 'go.mod')).toContain(module);
});
