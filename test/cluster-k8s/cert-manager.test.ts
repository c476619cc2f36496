// A release whose certificates cert-manager makes, in a cluster of this machine: it serves by them, and by renewed ones without a restart.
import { X509Certificate } from 'node:crypto';
import type { V1Secret } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../../common/testing/eventually.ts';
import { readReport, referenceRun } from '../support/suite.ts';
import { nodeCommand } from './helper-pod.ts';
import { MINUTES, TestCluster, whyNoCluster } from './test-cluster.ts';

const missing = process.env['KUBECONFIG']
  ? 'KUBECONFIG names another cluster'
  : whyNoCluster({ hasCertManager: true });

const ROLES = ['api-client', 'classifier-trainer', 'controller', 'coordinator', 'diffusion-worker', 'nats'];
const DEPLOYMENTS = ['coordinator', 'classifier-trainer', 'controller', 'diffusion-worker-cpu'];

/** Tells the number of the certificate that the coordinator shows. */
const LOOK = `
const socket = require('node:tls').connect(
  { host: 'ballast-coordinator', port: 4800, ALPNProtocols: ['h2'], rejectUnauthorized: false },
  () => {
    require('node:fs').writeFileSync('/dev/termination-log', socket.getPeerX509Certificate().serialNumber);
    process.exit();
  },
);
`;

describe.skipIf(missing !== null)(
  missing === null ? 'cert-manager' : `cert-manager (skipped: ${missing})`,
  () => {
    let cluster: TestCluster;

    const issued = async (role: string) => {
      const { data } = await cluster.get<V1Secret>('secret', `ballast-${role}-tls`);
      return new X509Certificate(Buffer.from(data!['tls.crt']!, 'base64'));
    };
    const shown = async () => {
      const labels = { 'ballast-api-client': 'true' };
      const { code, message } = await cluster.runHelper({ labels, command: nodeCommand(LOOK) });
      expect(code, message).toBe(0);
      return message;
    };
    const weightsOf = async (run: string) => {
      await cluster.begin(run);
      return (await cluster.succeeds(run)).weightsDigest;
    };
    const expected = async () => readReport((await referenceRun()).dir).weightsDigest;

    /** As `cmctl renew` does it. */
    const renew = (role: string) => {
      const value = {
        ...{ type: 'Issuing', status: 'True', reason: 'ManuallyTriggered', message: 'by the test' },
        lastTransitionTime: new Date().toISOString(),
      };
      const patch = JSON.stringify([{ op: 'add', path: '/status/conditions/-', value }]);
      const flags = ['--subresource=status', '--type=json', '-p', patch];
      return cluster.kubectl('patch', 'certificate', `ballast-${role}`, ...flags);
    };
    const lives = async () =>
      (await cluster.releasePods()).map(({ metadata, status }) => [
        metadata!.uid,
        ...(status!.containerStatuses ?? []).map(({ restartCount }) => restartCount),
      ]);

    beforeAll(async () => {
      cluster = await TestCluster.open({ hasCertManager: true });
      await cluster.timed('helm install until all Deployments are available', async () => {
        await cluster.helm('install', '--set', 'tls.mode=cert-manager');
        for (const name of DEPLOYMENTS)
          await cluster.waits(`deployment/ballast-${name}`, 'condition=Available');
      });
      await cluster.load();
    }, 40 * MINUTES);

    afterAll(() => cluster?.close(), 20 * MINUTES);

    it(
      'issues a certificate for each role; a run by them ends with the weights of a run on one machine',
      async () => {
        for (const role of ['authority', ...ROLES])
          await cluster.waits(`certificate/ballast-${role}`, 'condition=Ready');
        const authority = await issued('authority');
        for (const role of ROLES) expect((await issued(role)).verify(authority.publicKey), role).toBe(true);
        expect(await weightsOf('first')).toBe(await expected());
      },
      30 * MINUTES,
    );

    it(
      'serves by renewed certificates without a restart',
      async () => {
        const [before, pods] = [await issued('coordinator'), await lives()];
        expect(await shown()).toBe(before.serialNumber);
        for (const role of ROLES) await renew(role);
        for (const role of ROLES)
          await cluster.waits(`certificate/ballast-${role}`, 'jsonpath={.status.revision}=2');
        const renewed = await issued('coordinator');
        expect(renewed.serialNumber).not.toBe(before.serialNumber);
        const isShown = async () => expect(await shown()).toBe(renewed.serialNumber);
        await cluster.timed('from the renewed Secret to the coordinator that shows it', () =>
          eventually(isShown, { patienceMs: 5 * MINUTES, everyMs: 1000 }),
        );
        expect(await weightsOf('second')).toBe(await expected());
        expect(await lives()).toEqual(pods);
      },
      30 * MINUTES,
    );
  },
);
