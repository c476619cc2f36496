// The chart's pods as containers of this machine (runc, network namespaces): coordinator, trainer, two workers and
// NATS. A run during which a worker is killed, another drained, and then every container replaced, one after the other, ends
// with the weights of a run that had none of it. `make containers`.
import { chmodSync, chownSync, cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ChannelPool, plainCalls } from '../../actors/calls/channels.ts';
import { coordinatorService } from '../../coordinator/api/service.ts';
import type { Run__Output } from '../../gen/ballast/v1/Run.ts';
import { type Api, tinyConfig } from '../support/coordinator.ts';
import { givenSecrets } from '../support/k8s/certificates.ts';
import { type Cluster, PodContainer } from '../support/k8s/containers.ts';
import { render, whyNotRendered, type Workload, workloadsOf } from '../support/k8s/objects.ts';
import { USER, whyNoContainers } from '../support/k8s/runc.ts';
import { hasNats } from '../support/nats.ts';
import { TestNetwork } from '../support/network.ts';
import { shapesData, shapesPrior } from '../support/suite.ts';

const missing = whyNotRendered() ?? whyNoContainers() ?? (hasNats ? null : 'nats-server is not there');

/** Long enough that every container is replaced before its end. */
const EPOCHS = 12;
const MINUTES = 60_000;

describe.skipIf(missing !== null)(
  missing === null ? 'containers' : `containers (skipped: ${missing})`,
  () => {
    const objects = missing === null ? render('cpu') : [];
    const pods = new Map<string, PodContainer>();
    let network: TestNetwork;
    let cluster: Cluster;
    let channels: ChannelPool;
    let api: Api;

    /** Places by the name of what runs there; a replacement takes the place of what it replaces. */
    const PLACES = ['nats', 'coordinator', 'classifier-trainer', 'worker-a', 'worker-b'] as const;
    type Place = (typeof PLACES)[number];

    const workload = (place: Place): Workload => {
      const part = place.startsWith('worker') ? 'diffusion-worker-cpu' : place;
      return workloadsOf(objects).find(({ name }) => name.endsWith(`/ballast-${part}`))!;
    };
    let count = 0;
    const start = async (place: Place): Promise<PodContainer> => {
      const host = network.hosts[PLACES.indexOf(place)]!;
      // NATS finds its volume again; all others are new pods.
      const id = place === 'nats' ? `ballast-nats-0` : `${place}-${++count}`;
      const pod = new PodContainer(id, workload(place), host, cluster);
      pods.set(place, pod);
      await (place === 'nats' ? pod.untilSays(/Server is ready/) : pod.untilReady());
      return pod;
    };

    beforeAll(async () => {
      network = TestNetwork.create(PLACES.length + 1)!; // and a client
      const folder = mkdtempSync(join(tmpdir(), 'ballast-containers-'));
      chmodSync(folder, 0o755);
      const address = (place: Place) => network.hosts[PLACES.indexOf(place)]!.address;
      const services = { 'ballast-nats': address('nats'), 'ballast-coordinator': address('coordinator') };
      cluster = { objects, secrets: givenSecrets(objects), folder, services };
      const data = join(folder, 'ballast-data');
      mkdirSync(data);
      cpSync(await shapesData(), join(data, 'shapes'), { recursive: true });
      cpSync(await shapesPrior(), join(data, 'prior.safetensors'));
      chownSync(join(data, 'prior.safetensors'), USER, USER); // its owner alone may read a model
      const files = cluster.secrets['ballast-api-client-tls']!;
      const tls = {
        ca: Buffer.from(files['ca.crt']!),
        cert: Buffer.from(files['tls.crt']!),
        key: Buffer.from(files['tls.key']!),
      };
      channels = new ChannelPool({ security: { tls, token: cluster.secrets['ballast-api-client']!.token! } });
      api = plainCalls(coordinatorService, channels, `${services['ballast-coordinator']}:4800`);
      for (const place of PLACES) await start(place);
    }, 10 * MINUTES);

    afterAll(async () => {
      channels?.close();
      await Promise.all([...pods.values()].map((pod) => pod.kill()));
      network?.close();
      if (cluster !== undefined) rmSync(cluster.folder, { recursive: true });
    }, 2 * MINUTES);

    const begin = async (runId: string): Promise<Run__Output> => {
      const data = '/var/lib/ballast/data';
      const config = await tinyConfig({
        ...{ data: { source: `${data}/shapes` }, prior: `${data}/prior.safetensors` },
        training: { epochs: EPOCHS, batchSize: 4 },
      });
      return api.createRun({ runId, config });
    };
    /** The run once it pleases; a coordinator that is being replaced is asked again. */
    const until = async (name: string, isRight: (run: Run__Output) => boolean): Promise<Run__Output> => {
      for (;;) {
        const run = await api.getRun({ name }).catch(() => null);
        if (run !== null && (isRight(run) || run.endTime !== null)) return run;
        await delay(200);
      }
    };

    it('are unprivileged, read-only, confined, and bounded in memory', () => {
      const worker = pods.get('worker-a')!;
      expect(worker.status('Uid').split(/\s+/)).toEqual(Array(4).fill('10001'));
      expect([worker.status('NoNewPrivs'), worker.status('Seccomp')]).toEqual(['1', '2']);
      expect(worker.status('CapBnd')).toBe('0000000000000000');
    });

    it(
      'make one image for `helm test`',
      async () => {
        const test = workloadsOf(objects).find(({ name }) => name === 'Pod/ballast-test')!;
        const pod = new PodContainer('helm-test', test, network.hosts[PLACES.length]!, cluster);
        expect(await pod.ended, pod.output).toBe(0);
        expect(pod.output).toMatch(/^\/tmp\/images\/disc-00001\.png$/m);
      },
      10 * MINUTES,
    );

    it(
      'lose nothing of a run when they are killed, drained and replaced',
      async () => {
        const calm = await until((await begin('calm')).name, () => false);
        expect([calm.state, calm.reason]).toEqual(['STATE_SUCCEEDED', expect.any(String)]);

        const { name } = await begin('stormy');
        await until(name, ({ epoch }) => epoch >= 1);
        await pods.get('worker-a')!.kill();
        await start('worker-a');
        expect(await pods.get('worker-b')!.end()).toEqual({ hook: 0, code: 0 });
        await start('worker-b');
        for (const place of ['worker-a', 'worker-b', 'classifier-trainer', 'coordinator', 'nats'] as const) {
          const { hook, code } = await pods.get(place)!.end();
          expect(hook, `${place}\n${pods.get(place)!.output}`).toBe(0);
          expect(place === 'nats' ? [0, 1] : [0], place).toContain(code);
          await start(place);
        }
        const during = await api.getRun({ name });
        const stormy = await until(name, () => false);
        expect([stormy.state, stormy.weightsDigest]).toEqual(['STATE_SUCCEEDED', calm.weightsDigest]);
        expect(during.endTime, 'the run was over before all were replaced').toBe(null);
      },
      20 * MINUTES,
    );
  },
);
