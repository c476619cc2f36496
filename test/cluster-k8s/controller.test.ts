// SynthesisRun objects of a real API server, with the chart as helm installs it: a coordinator and its controller run as
// processes with the chart's certificates and tokens, the controller with no rights but those of its role.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ChannelPool, plainCalls } from '../../actors/calls/channels.ts';
import { coordinatorService } from '../../coordinator/api/service.ts';
import type { Status, SynthesisRun } from '../../controller/synthesis-run.ts';
import { Cli } from '../support/cli.ts';
import { type Api, startCoordinator, type TestCoordinator, tinyValues } from '../support/coordinator.ts';
import { type ApiServer, startApiServer, whyNoApiServer } from '../support/k8s/control-plane.ts';
import { whyNotRendered } from '../support/k8s/objects.ts';
import { EPOCHS, readReport, referenceRun } from '../support/suite.ts';

const missing = whyNoApiServer() ?? whyNotRendered();
const NAMESPACE = 'ballast';
/** A run that nobody waits for to end by itself. */
const MANY_EPOCHS = 500;
const METRICS = /^metrics: (\S+)$/m;

describe.skipIf(missing !== null)(
  missing === null ? 'a SynthesisRun' : `a SynthesisRun (skipped: ${missing})`,
  () => {
    let folder: string;
    let server: ApiServer;
    let coordinator: TestCoordinator;
    let controller: Cli;
    let api: Api;
    let pool: ChannelPool;
    let kubeconfig: string;
    let tls: Record<string, string>;

    const kubectl = (...args: string[]) => server.cluster.kubectl(['-n', NAMESPACE, ...args]);
    const object = (name: string) => server.cluster.get<SynthesisRun>('-n', NAMESPACE, 'synthesisrun', name);
    const apply = async (name: string, spec: object, more: object = {}, labels: object = {}) =>
      server.cluster.apply({
        ...{ apiVersion: 'ballast.internal/v1alpha1', kind: 'SynthesisRun' },
        metadata: { name, namespace: NAMESPACE, labels },
        spec: { config: await tinyValues(more), ...spec },
      });
    const patch = (name: string, spec: object) =>
      kubectl('patch', 'synthesisrun', name, '--type=merge', '-p', JSON.stringify({ spec }));
    const waits = async (name: string, what: string) => {
      try {
        await server.cluster.wait(`synthesisrun/${name}`, what, '-n', NAMESPACE);
      } catch (thrown) {
        const { status: found } = object(name);
        throw new Error(`${JSON.stringify(found)}\n${controller.stderr}`, { cause: thrown });
      }
    };
    const status = (name: string) => object(name).status as Status;
    const runs = async () => (await api.listRuns({})).runs;

    const startController = async () => {
      const token = join(folder, 'controller-token', 'token');
      const args = ['--server', coordinator.apiAddress, '--token-file', token, '--namespace', NAMESPACE];
      const own = ['controller', ...args, '--metrics-port', '0'];
      controller = Cli.start(own, { env: { ...tls, KUBECONFIG: kubeconfig } });
      await controller.poll('its first lines', () => METRICS.exec(controller.stderr));
    };
    const metricsPage = async () => (await fetch(METRICS.exec(controller.stderr)![1]!)).text();
    /** Reasons of the events that `kubectl describe` shows of an object, sorted: their times have whole seconds. */
    const told = (name: string): string[] => {
      const { output } = kubectl('describe', 'synthesisrun', name);
      const [, list = ''] = output.split(/^Events:.*$/m);
      return [...list.matchAll(/^ {2}(?:Normal|Warning) +(\w+) /gm)].map(([, reason]) => reason!).sort();
    };

    /** The files of a Secret, as a pod mounts them. */
    const mount = (secret: string): string => {
      const { data } = server.cluster.get<{ data: Record<string, string> }>(
        '-n',
        NAMESPACE,
        'secret',
        `ballast-${secret}`,
      );
      mkdirSync(join(folder, secret));
      for (const [name, value] of Object.entries(data))
        writeFileSync(join(folder, secret, name), Buffer.from(value, 'base64'), { mode: 0o600 });
      return join(folder, secret);
    };
    const tlsOf = (dir: string) => ({
      BALLAST_TLS_CA: join(dir, 'ca.crt'),
      BALLAST_TLS_CERT: join(dir, 'tls.crt'),
      BALLAST_TLS_KEY: join(dir, 'tls.key'),
    });

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'ballast-synthesis-run-'));
      server = await startApiServer(join(folder, 'control-plane'));
      server.cluster.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } });
      const installed = server.cluster.helm('-n', NAMESPACE, 'install', 'ballast', 'k8s/chart');
      expect(installed, installed.errors).toMatchObject({ status: 0 });
      const tokens = join(mount('api-tokens'), 'tokens.yaml');
      const certificate = tlsOf(mount('coordinator-tls'));
      coordinator = await startCoordinator(folder, ['--tokens', tokens], certificate);
      tls = tlsOf(mount('controller-tls'));
      mount('controller-token');
      kubeconfig = server.configOf(NAMESPACE, 'ballast-controller');
      const client = join(mount('api-client'), 'token');
      const { SecurityFiles } = await import('../../actors/security/security-files.ts');
      const shown = { ...tlsOf(mount('api-client-tls')), BALLAST_TOKEN_FILE: client };
      pool = new ChannelPool({ security: new SecurityFiles(shown, { log: null }) });
      api = plainCalls(coordinatorService, pool, coordinator.apiAddress);
      await startController();
    }, 900_000);

    afterAll(async () => {
      for (const cli of [controller, coordinator?.cli]) cli?.signal('SIGTERM');
      await Promise.all([controller?.ended, coordinator?.cli.ended]);
      coordinator?.close();
      pool?.close();
      await server?.stop();
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    });

    it('becomes a run that ends with the weights of one on one machine', async () => {
      await apply('first', { labels: { team: 'vision' }, weight: 2 });
      await waits('first', 'condition=Succeeded');
      const { metadata } = object('first');
      const { run, phase, epoch, epochs, metrics, weightsDigest, conditions } = status('first');
      expect({ run, phase, epoch, epochs }).toEqual({
        run: `runs/first-${metadata.uid.slice(0, 8)}`,
        ...{ phase: 'Succeeded', epoch: EPOCHS, epochs: EPOCHS },
      });
      const reference = readReport((await referenceRun()).dir);
      expect(weightsDigest).toBe(reference.weightsDigest);
      const made = await api.getRun({ name: run! });
      expect(made).toMatchObject({
        weight: 2,
        labels: { team: 'vision', 'ballast.internal/namespace': NAMESPACE },
      });
      expect(metrics).toMatchObject({
        split: 'test',
        balancedAccuracy: +made.test!.balancedAccuracy.toFixed(4),
      });
      expect(conditions.map(({ type, status: value }) => [type, value])).toEqual([
        ['Accepted', 'True'],
        ['Suspended', 'False'],
        ['Succeeded', 'True'],
        ['Failed', 'False'],
      ]);
      const [head = '', row = ''] = kubectl('get', 'srun', 'first').output.split('\n');
      expect(head.split(/\s+/)).toEqual(['NAME', 'PHASE', 'EPOCH', 'EPOCHS', 'BALANCED', 'RUN', 'AGE']);
      expect(row).toMatch(/^first +Succeeded +\d+ +\d+ +[01](\.\d+)? +runs\/first-\w{8} /);
      await until(() => object('first').metadata.finalizers === undefined); // deleting it needs no controller
      await until(() => told('first').includes('Succeeded'));
      expect(told('first')).toEqual(['Created', 'Started', 'Succeeded']);
      const page = await metricsPage();
      expect(page).toMatch(/^ballast_controller_objects\{state="Succeeded"\} 1$/m);
      for (const step of ['hold', 'create', 'release'])
        expect(page).toContain(`ballast_controller_steps_total{step="${step}"} 1\n`);
      expect(patch('first', { config: { method: 'replay' } })).toMatchObject({
        status: 1,
        errors: expect.stringContaining('spec.config cannot change once the run is made') as string,
      });
    });

    it('reports why the coordinator refuses it, and is accepted once that is mended', async () => {
      await apply('refused', {}, { training: { epochs: -1 } });
      await waits('refused', 'condition=Failed');
      expect(status('refused')).toMatchObject({
        phase: 'Failed',
        message: expect.stringContaining('training.epochs') as string,
      });
      expect(status('refused').conditions[0]).toMatchObject({ status: 'False', reason: 'ConfigInvalid' });
      await until(() => told('refused').includes('ConfigInvalid'));
      await apply('refused', {}, { training: { epochs: 1, batchSize: 4 } });
      await waits('refused', 'condition=Succeeded');
    });

    it('is refused by the API server where the schema sees the mistake', () => {
      const refusal = (spec: object) => {
        const head = { apiVersion: 'ballast.internal/v1alpha1', kind: 'SynthesisRun' };
        const whole = { ...head, metadata: { name: 'wrong', namespace: NAMESPACE }, spec };
        const { status: code, errors } = server.cluster.kubectl(['apply', '-f', '-'], JSON.stringify(whole));
        return code === 0 ? 'accepted' : errors;
      };
      expect(refusal({})).toContain('spec.config: Required value');
      expect(refusal({ config: {}, suspend: 'yes' })).toContain(
        'spec.suspend in body must be of type boolean',
      );
      expect(refusal({ config: {}, weight: 1000 })).toContain(
        'spec.weight in body should be less than or equal to 100',
      );
      expect(refusal({ config: {}, labels: { 'a b': 'c' } })).toContain(
        'names of labels have 1 to 63 letters',
      );
      expect(refusal({ config: {}, wieght: 2 })).toContain('unknown field "spec.wieght"');
    });

    // Kueue's contract for a kind of its own (docs/kubernetes.md#kueue): admission sets `suspend` as the object is created, a
    // queue clears it, sets it again to preempt, waits until nothing runs, and clears it once more.
    it('is queued, admitted, preempted and admitted again as Kueue does it, to the weights of a calm run', async () => {
      for (const object of QUEUE_POLICY) server.cluster.apply(object);
      const training = { training: { epochs: 8, batchSize: 4 } };
      const queued = { 'kueue.x-k8s.io/queue-name': 'team' };
      // The policy is enforced a moment after it is there: objects are created until one is changed by it.
      await until(async () => {
        await apply('queued', {}, training, queued);
        if (object('queued').spec.suspend === true) return true;
        kubectl('delete', 'synthesisrun', 'queued');
        return false;
      });
      await waits('queued', 'condition=Suspended');
      expect(status('queued')).toMatchObject({ phase: 'Suspended' });
      expect(status('queued').run).toBeUndefined();

      patch('queued', { suspend: false });
      await until(() => (status('queued').epoch ?? 0) >= 1);
      patch('queued', { suspend: true });
      await waits('queued', 'condition=Suspended');
      const { run, epoch } = status('queued');
      expect((await api.getRun({ name: run! })).state).toBe('STATE_CANCELLED'); // its quota is free
      expect(epoch).toBeLessThan(8);
      expect(status('queued').completionTime).toBeUndefined();

      patch('queued', { suspend: false });
      await apply('calm', {}, training);
      for (const name of ['queued', 'calm']) await waits(name, 'condition=Succeeded');
      expect(status('queued')).toMatchObject({ run, weightsDigest: status('calm').weightsDigest });
      const events = ['Suspended', 'Created', 'Started', 'Suspended', 'Continued', 'Succeeded'];
      await until(() => told('queued').length >= events.length);
      expect(told('queued')).toEqual(events.sort());
    });

    it('cancels its run when it is deleted', async () => {
      await apply('unwanted', {}, { training: { epochs: MANY_EPOCHS, batchSize: 4 } });
      await waits('unwanted', 'jsonpath={.status.phase}=Running');
      const { run } = status('unwanted');
      const { status: code, errors } = kubectl('delete', 'synthesisrun', 'unwanted', '--timeout=120s');
      expect({ code, errors }).toEqual({ code: 0, errors: '' });
      expect((await api.getRun({ name: run! })).state).toBe('STATE_CANCELLED');
    });

    it('reports that another client cancelled its run', async () => {
      await apply('stopped', {}, { training: { epochs: MANY_EPOCHS, batchSize: 4 } });
      await waits('stopped', 'jsonpath={.status.phase}=Running');
      await api.cancelRun({ name: status('stopped').run! });
      await waits('stopped', 'condition=Failed');
      expect(status('stopped')).toMatchObject({ phase: 'Cancelled', message: expect.any(String) as string });
      await until(() => told('stopped').includes('Cancelled'));
    });

    it('has one run, however often its controller is killed', async () => {
      const before = (await runs()).length;
      await apply('steady', {}, { training: { epochs: EPOCHS + 2, batchSize: 4 } });
      // Killed as soon as the run is there, often before the object says so; then again in the middle.
      await until(async () => (await runs()).length > before);
      for (const epoch of [0, 1]) {
        controller.signal('SIGKILL');
        await controller.ended;
        await startController();
        await until(() => (status('steady').epoch ?? -1) >= epoch);
      }
      controller.signal('SIGTERM');
      expect((await controller.ended).code).toBe(0);
      await startController();
      await waits('steady', 'condition=Succeeded');
      expect((await runs()).length).toBe(before + 1);
    });

    it('is left alone by a controller without the right to it', () => {
      const may = (...what: string[]) =>
        server.cluster
          .kubectl([
            'auth',
            'can-i',
            ...what,
            '--as',
            `system:serviceaccount:${NAMESPACE}:ballast-controller`,
          ])
          .output.trim();
      expect(may('patch', 'synthesisruns.ballast.internal/status', '-n', NAMESPACE)).toBe('yes');
      for (const what of [
        ['delete', 'synthesisruns.ballast.internal'],
        ['get', 'secrets'],
        ['create', 'pods'],
      ])
        expect(may(...what, '-n', NAMESPACE), what.join(' ')).toBe('no');
      expect(may('get', 'synthesisruns.ballast.internal', '-n', 'default')).toBe('no');
    });
  },
);

/** In place of a queue's webhook: an object that names a queue begins suspended. */
const QUEUE_POLICY = [
  {
    ...{ apiVersion: 'admissionregistration.k8s.io/v1', kind: 'MutatingAdmissionPolicy' },
    metadata: { name: 'queue' },
    spec: {
      reinvocationPolicy: 'IfNeeded',
      matchConstraints: {
        resourceRules: [
          {
            ...{ apiGroups: ['ballast.internal'], apiVersions: ['*'] },
            ...{ operations: ['CREATE'], resources: ['synthesisruns'] },
          },
        ],
      },
      matchConditions: [
        { name: 'queued', expression: "'kueue.x-k8s.io/queue-name' in object.metadata.?labels.orValue({})" },
      ],
      mutations: [
        {
          patchType: 'ApplyConfiguration',
          applyConfiguration: { expression: 'Object{spec: Object.spec{suspend: true}}' },
        },
      ],
    },
  },
  {
    ...{ apiVersion: 'admissionregistration.k8s.io/v1', kind: 'MutatingAdmissionPolicyBinding' },
    metadata: { name: 'queue' },
    spec: { policyName: 'queue' },
  },
];

async function until(ask: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await ask())) await delay(100);
}
