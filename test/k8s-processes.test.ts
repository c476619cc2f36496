// Starts everything that the chart starts: every container of every set of values as a process of this machine, with
// its rendered command line and environment. It must pass the probes in the manifest, be visible to the cluster, and
// end with 0 at SIGTERM or by its hook, within its grace period. No container engine and no GPU: the CPU engine,
// whatever the image.
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { IProbe } from 'kubernetes-models/v1/Probe';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ChannelPool, plainCalls } from '../actors/calls/channels.ts';
import type { TlsFiles } from '../actors/security/security.ts';
import { hasOpenssl } from '../actors/testing/certificates.ts';
import { coordinatorService } from '../coordinator/api/service.ts';
import { ended, tinyConfig } from './support/coordinator.ts';
import { secretFiles } from './support/k8s/certificates.ts';
import { type LocalContainer, localContainer, type Place } from './support/k8s/local-pod.ts';
import { imageCommands, LocalProcess } from './support/k8s/local-process.ts';
import { render, whyNotRendered, type Workload, workloadsOf } from './support/k8s/objects.ts';
import { hasNats, startNats } from './support/nats.ts';
import { missingPython, pythonClient } from './support/python-client.ts';
import {
  BUDGET,
  EPOCHS,
  readReport,
  referenceRun,
  SHARD_SIZE,
  shapesData,
  shapesPrior,
} from './support/suite.ts';

const missing =
  whyNotRendered() ??
  (hasNats ? null : 'nats-server is not there') ??
  (hasOpenssl ? null : 'openssl is not there');

const CHOICES = ['cpu', 'gpu', 'mig'] as const;

describe.skipIf(missing !== null).each(CHOICES)(
  missing === null ? 'values %s' : `values %s (skipped: ${missing})`,
  (choice) => {
    const objects = missing === null ? render(choice) : [];
    // The coordinator first: if NATS has accounts, no other role may create the registry. The controller needs an API
    // server: test/cluster-k8s.
    const servers = workloadsOf(objects).filter(
      ({ name, object }) => object.kind !== 'Pod' && !name.endsWith('-controller'),
    );
    const workloads = servers.toSorted(
      (a, b) => Number(b.name.endsWith('-coordinator')) - Number(a.name.endsWith('-coordinator')),
    );
    const nodes = workloads.filter(({ object }) => object.kind === 'Deployment');
    const running = new Map<string, LocalProcess>();
    let folder: string;
    let place: Place;
    let commands: string;

    const start = async (workload: Workload): Promise<LocalProcess> => {
      const podFolder = join(folder, workload.object.metadata.name);
      await mkdir(podFolder);
      const container = await localContainer(workload, objects, { ...place, folder: podFolder });
      const process = new LocalProcess(container, commands);
      running.set(workload.name, process);
      return process;
    };

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), `ballast-k8s-${choice}-`));
      commands = imageCommands(join(folder, 'bin'));
      const claims = {
        'ballast-runs': join(folder, 'claim-runs'),
        'ballast-data': join(folder, 'claim-data'),
      };
      place = { folder, claims, secrets: secretFiles(objects, folder), services: {} };
      const server = workloads.find(({ name }) => name === 'StatefulSet/ballast-nats')!;
      const nats = await start(server);
      await nats.untilPasses(probesOf(server).startupProbe!);
      // By name: the certificate has no address.
      const address = `localhost:${nats.container.ports.get(4222)}`;
      place = { ...place, services: { 'ballast-nats:4222': address } };
    });

    afterAll(async () => {
      await Promise.all([...running.values()].map((process) => process.terminate(0)));
      if (missing === null) rmSync(folder, { recursive: true });
    });

    it.each(workloads.map((workload) => [workload.name, workload] as const))(
      '%s serves',
      async (name, workload) => {
        const process = running.get(name) ?? (await start(workload));
        const { startupProbe, readinessProbe, livenessProbe } = probesOf(workload);
        for (const probe of [startupProbe, readinessProbe, livenessProbe]) await process.untilPasses(probe!);
        for (const port of ['metrics', 'api']) await answers(process.container, port);
      },
    );

    it('is one cluster, whose nodes have the labels and resources of their pods', async () => {
      const [first] = nodes.filter(({ name }) => running.has(name));
      const asked = running.get(first!.name)!;
      const shown = await asked.execute(['ballast', 'nodes', '--json', '--node', nodeAddress(asked)]);
      expect(shown.code, shown.output).toBe(0);
      const seen = shown.output
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { labels: Record<string, string>; total: Record<string, number> });
      const started = nodes.filter(({ name }) => running.has(name));
      expect(seen.map(({ labels }) => labels.role).sort()).toEqual(
        started.map(({ labels }) => labels['app.kubernetes.io/component']).sort(),
      );
      for (const { labels, total } of seen) {
        if (labels.role !== 'diffusion-worker') continue;
        expect(total).toMatchObject(choice === 'cpu' ? { cpu: 1 } : { gpu: 1 });
        expect(total.memoryBytes).toBe((choice === 'cpu' ? 2 : 8) * 2 ** 30);
      }
    });

    it('comes to NATS with a user for each role', async () => {
      const monitor = running.get('StatefulSet/ballast-nats')!.container.ports.get(8222);
      const answer = await fetch(`http://127.0.0.1:${monitor}/connz?auth=1`);
      const { connections } = (await answer.json()) as { connections: { authorized_user?: string }[] };
      const users = new Set(connections.map(({ authorized_user: user }) => user));
      const started = nodes.filter(({ name }) => running.has(name));
      const asked = started.map(({ name }) => running.get(name)!.container.environment['BALLAST_NATS_USER']);
      expect(users).toEqual(new Set(asked));
    });

    it('does a run, which ends with the weights of one on one machine', async () => {
      const data = place.claims['ballast-data']!;
      cpSync(await shapesData(), join(data, 'shapes'), { recursive: true });
      cpSync(await shapesPrior(), join(data, 'prior.safetensors'));
      const paths = { data: { source: join(data, 'shapes') }, prior: join(data, 'prior.safetensors') };
      const { container } = running.get('Deployment/ballast-coordinator')!;
      const address = `127.0.0.1:${container.ports.get(container.portNames.api!)}`;
      const pool = new ChannelPool({ security: { tls: clientFiles(place), token: tokenOf(place) } });
      try {
        const api = plainCalls(coordinatorService, pool, address);
        const { name } = await api.createRun({ runId: 'first', config: await tinyConfig(paths) });
        const run = await ended(api, name);
        expect([run.state, run.reason]).toEqual(['STATE_SUCCEEDED', expect.any(String)]);
        expect(run.weightsDigest).toBe(readReport((await referenceRun()).dir).weightsDigest);
        const { actors } = await api.listActors({});
        const workers = actors.filter(({ type }) => type === 'diffusion-worker');
        expect(workers.length).toBe(
          nodes.filter(({ name: node }) => node.includes('diffusion-worker')).length,
        );
      } finally {
        pool.close();
      }
    });

    const python = choice === 'gpu' ? missingPython : 'once is enough';
    const title = `is driven by the Python client${python === null ? '' : ` (skipped: ${python})`}`;
    it.skipIf(python !== null)(title, async () => {
      const { container } = running.get('Deployment/ballast-coordinator')!;
      const data = place.claims['ballast-data']!;
      const config = join(folder, 'run.json');
      const synthesis = { budget: BUDGET, shardSize: SHARD_SIZE };
      writeFileSync(
        config,
        JSON.stringify({
          ...{
            method: 'iois',
            data: { source: join(data, 'shapes') },
            prior: join(data, 'prior.safetensors'),
          },
          ...{ synthesis, training: { epochs: EPOCHS, batchSize: 4 } },
          classifier: { widths: [8, 16], groups: 4 },
        }),
      );
      const { ca, cert, key } = clientFiles(place);
      const files = { BALLAST_TLS_CA: ca, BALLAST_TLS_CERT: cert, BALLAST_TLS_KEY: key };
      const env: Record<string, string> = { BALLAST_API_TOKEN_FILE: join(folder, 'token') };
      writeFileSync(env.BALLAST_API_TOKEN_FILE!, tokenOf(place), { mode: 0o600 });
      for (const [name, text] of Object.entries(files))
        writeFileSync((env[name] = join(folder, name)), text, { mode: 0o600 });
      const server = `127.0.0.1:${container.ports.get(container.portNames.api!)}`;
      const { code, stdout, stderr } = await (
        await pythonClient(folder)
      ).train(server, config, 'python', env);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toContain('runs/python: STATE_SUCCEEDED');
      expect(stdout).toMatch(/^images: 10$/m);
      if (process.env['BALLAST_SHOW_TRANSCRIPT'] !== undefined) process.stdout.write(stdout);
    });

    // NATS last: nodes take their leave of it.
    for (const workload of [...nodes, ...workloads.filter(({ object }) => object.kind === 'StatefulSet')]) {
      const { name, spec } = workload;
      const graceSeconds = spec.terminationGracePeriodSeconds ?? 30;
      it(`${name} ends`, async () => {
        const process = running.get(name)!;
        const { preStop } = process.container;
        const hook = await process.execute(preStop);
        expect(hook.code, hook.output).toBe(0);
        // A hook that drains has ended the node; one that sleeps leaves that to SIGTERM.
        const drains = preStop.join(' ').includes('drain');
        const code = await (drains ? process.ended(graceSeconds) : process.terminate(graceSeconds));
        expect(name === 'StatefulSet/ballast-nats' ? NATS_ENDS : [0], process.output).toContain(code);
      });
    }
  },
);

/** How nats-server ends at SIGTERM, after a clean shutdown: 2.9 with 1. */
const NATS_ENDS = [0, 1];

describe.skipIf(missing !== null)(missing === null ? 'SIGTERM' : `SIGTERM (skipped: ${missing})`, () => {
  it('ends a worker whose hook never ran', async () => {
    const objects = render('cpu', ['--set', 'tls.mode=none,nats.enabled=false,nats.accounts=false,nats.address=nats://nats:4222']); // prettier-ignore
    const folder = mkdtempSync(join(tmpdir(), 'ballast-k8s-term-'));
    const nats = await startNats(['-js', '-sd', join(folder, 'nats')]);
    const worker = workloadsOf(objects).find(({ name }) => name.includes('diffusion-worker'))!;
    const services = { 'nats:4222': nats.url.replace('nats://', '') };
    const container = await localContainer(worker, objects, { folder, claims: {}, secrets: {}, services });
    const process = new LocalProcess(container, imageCommands(join(folder, 'bin')));
    try {
      await process.untilPasses(probesOf(worker).startupProbe!);
      expect(await process.terminate(30), process.output).toBe(0);
    } finally {
      await process.terminate(0);
      await nats.stop();
      rmSync(folder, { recursive: true });
    }
  });
});

function probesOf({
  spec,
}: Workload): Partial<Record<'startupProbe' | 'readinessProbe' | 'livenessProbe', IProbe>> {
  return spec.containers[0]!;
}

/** The credentials of a client of the API. */
function clientFiles({ secrets }: Place): TlsFiles {
  const files = secrets['ballast-api-client-tls']!;
  const file = (key: string) => Buffer.from(files[key] ?? '');
  return { ca: file('ca.crt'), cert: file('tls.crt'), key: file('tls.key') };
}

function tokenOf({ secrets }: Place): string {
  return secrets['ballast-api-client']!.token!;
}

/** Something listens at a named port, and the metrics are metrics. */
async function answers({ ports, portNames }: LocalContainer, name: string): Promise<void> {
  const port = ports.get(portNames[name] ?? 0);
  if (port === undefined) return;
  if (name !== 'metrics') return void (await connects(port));
  const page = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  expect(page).toMatch(/^# TYPE ballast_/m);
}

async function connects(port: number): Promise<void> {
  const { connect } = await import('node:net');
  const socket = connect(port, '127.0.0.1');
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  socket.destroy();
}

function nodeAddress({ container }: LocalProcess): string {
  return `127.0.0.1:${container.ports.get(4700)}`;
}
