// The chart against a real API server (build.sh): every object of each choice is accepted strictly and without a warning, in a
// namespace that enforces the restricted standard, and helm installs, upgrades and uninstalls it. No pod is started here.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../common/package-root.ts';
import { type ApiServer, Cluster, startApiServer, whyNoApiServer } from '../support/k8s/control-plane.ts';
import { createDefinitions } from '../support/k8s/modules.ts';
import { type Choice, helm, whyNotRendered } from '../support/k8s/objects.ts';
import { checkCluster } from './given-cluster.ts';

const missing = whyNoApiServer() ?? whyNotRendered();

const WARNED = {
  'pod-security.kubernetes.io/enforce': 'restricted',
  'pod-security.kubernetes.io/warn': 'restricted',
};

describe.skipIf(missing !== null)(
  missing === null ? 'API server' : `API server (skipped: ${missing})`,
  () => {
    let folder: string;
    let server: ApiServer;

    const run = (...args: string[]) => server.cluster.helm('-n', 'ballast', ...args);
    const shown = (path: string, ...args: string[]) =>
      server.cluster.kubectl(['-n', 'ballast', 'get', ...args, '-o', `jsonpath=${path}`]).output;

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'ballast-api-server-'));
      server = await startApiServer(folder);
      for (const name of ['ballast', 'keda'])
        server.cluster.apply({
          ...{ apiVersion: 'v1', kind: 'Namespace' },
          metadata: { name, labels: WARNED },
        });
      createDefinitions(server.cluster, ['keda', 'cert-manager', 'prometheus-operator']);
    }, 600_000);

    afterAll(async () => {
      await server?.stop();
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    });

    it('accepts the definition of SynthesisRun, strictly and without a warning', () => {
      const file = join(packageRoot(), 'k8s/chart/crds/synthesisruns.yaml');
      const flags = ['--server-side', '--validate=strict'];
      const { status, errors } = server.cluster.kubectl(['apply', ...flags, '-f', file]);
      expect({ status, errors }).toEqual({ status: 0, errors: '' });
      const names = ['crd', 'synthesisruns.ballast.internal'];
      expect(server.cluster.kubectl(['wait', ...names, '--for=condition=Established']).status).toBe(0);
      expect(shown('{.status.conditions[?(@.type=="NonStructuralSchema")].message}', ...names)).toBe('');
    });

    it.each(['cpu', 'gpu', 'mig'] satisfies Choice[])(
      'accepts every object of %s, without a warning',
      (choice) => {
        const { output } = helm(choice, ['--no-hooks']);
        const flags = ['--server-side', '--validate=strict', '--dry-run=server'];
        const { status, errors } = server.cluster.kubectl(['apply', ...flags, '-f', '-'], output);
        expect({ status, errors }).toEqual({ status: 0, errors: '' });
      },
    );

    it('keeps what was generated through an upgrade, and runs and data through the end', () => {
      expect(run('install', 'ballast', 'k8s/chart')).toMatchObject({ status: 0 });
      const each = '{range .items[*]}{.metadata.name}{" "}{.data}{"\\n"}{end}';
      const secrets = () => shown(each, 'secrets', '-l', 'app.kubernetes.io/name=ballast');
      const before = secrets();
      // Certificates: authority, coordinator, trainer, worker, client, NATS, controller; two tokens and their digests; three
      // users of NATS.
      expect(before.trim().split('\n').length).toBe(13);
      expect(run('upgrade', 'ballast', 'k8s/chart', '--set', 'trainer.replicas=2')).toMatchObject({
        status: 0,
      });
      expect(secrets()).toBe(before);
      expect(shown('{.spec.replicas}', 'deployment', 'ballast-classifier-trainer')).toBe('2');
      expect(run('uninstall', 'ballast')).toMatchObject({ status: 0 });
      const left = server.cluster.kubectl(['-n', 'ballast', 'get', 'pvc', '-o', 'name']).output;
      expect(left.trim().split('\n')).toEqual([
        'persistentvolumeclaim/ballast-data',
        'persistentvolumeclaim/ballast-runs',
      ]);
      expect(shown('{.metadata.name}', 'crd', 'synthesisruns.ballast.internal')).not.toBe('');
    });

    it('is refused by the suite of clusters, in one line that says what it lacks', async () => {
      await expect(checkCluster(server.cluster)).rejects.toThrow(/: no node is ready and takes pods$/);
      await server.cluster.run('-n', 'ballast', 'create', 'serviceaccount', 'guest');
      const account = new Cluster(server.configOf('ballast', 'guest'));
      await expect(checkCluster(account)).rejects.toThrow(
        /: its user may not create namespaces, create customresourcedefinitions, .*, create roles$/,
      );
      const nobody = new Cluster(join(folder, 'nobody.kubeconfig'));
      const text = readFileSync(server.cluster.kubeconfig, 'utf8').replace(
        /https:[^"]*/,
        'https://127.0.0.1:1',
      );
      writeFileSync(nobody.kubeconfig, text);
      await expect(checkCluster(nobody)).rejects.toThrow(/: the cluster does not answer: [^\n]+$/);
    });

    it('looks the version of KEDA up, and refuses an old one', () => {
      const template = {
        metadata: { labels: { app: 'k' } },
        spec: { containers: [{ name: 'k', image: 'k:1' }] },
      };
      const operator = (version: string) => ({
        ...{ apiVersion: 'apps/v1', kind: 'Deployment' },
        metadata: {
          name: 'keda-operator',
          namespace: 'keda',
          labels: { 'app.kubernetes.io/version': version },
        },
        spec: { selector: { matchLabels: { app: 'k' } }, template },
      });
      const install = () => run('upgrade', '--install', 'cards', 'k8s/chart', '-f', 'k8s/gpu.yaml');
      server.cluster.apply(operator('2.18.1'));
      expect(install()).toMatchObject({
        status: 1,
        errors: expect.stringContaining('KEDA is 2.18.1, and must be 2.19') as string,
      });
      server.cluster.apply(operator('2.21.0'));
      const { status, errors } = install();
      expect(status, errors).toBe(0);
      expect(JSON.parse(shown('{.items[0].spec.fallback}', 'scaledobject'))).toEqual({
        ...{ failureThreshold: 4, replicas: 1 },
        behavior: 'currentReplicasIfHigher',
      });
    });
  },
);
