// The runtime with real processes: the node runs here, its actors are children that run the built package.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../common/testing/eventually.ts';
import { ActorError, ActorSystem, ChannelPool, connectNode, silentLog, startNode } from '../actors/index.ts';
import type { ActorHandle, ActorStatus, Node, SpawnOptions } from '../actors/index.ts';
import { plainCalls } from '../actors/index.ts';
import { spawnOwn } from '../coordinator/crew/crew-node.ts';
import { healthService } from '../actors/serving/health.ts';
import { ECHO_ENTRY, echo, FIXTURES } from './fixtures/actors/echo.ts';
import type { EchoServiceClient } from './fixtures/actors/echo.ts';
import { type EchoNode, startEchoNode } from './support/echo-node.ts';

/** Of an actor that is watched while it waits to be started again: longer than a busy machine takes to look. */
const BACKOFF_MS = 5000;

let folder: string;
let node: Node;
let pool: ChannelPool;
let system: ActorSystem;
let end: EchoNode['end'];
let actors = 0;

beforeAll(async () => {
  ({ folder, node, pool, system, end } = await startEchoNode());
});

afterAll(() => end());

async function spawnEcho(
  options: Partial<SpawnOptions> = {},
): Promise<{ echo: ActorHandle<EchoServiceClient>; actorId: string }> {
  const actorId = `echo-${++actors}`;
  const handle = await system.spawn(echo, { actorId, restart: { initialBackoffMs: 100 }, ...options });
  return { echo: handle, actorId };
}

async function status(actorId: string): Promise<ActorStatus> {
  const found = (await node.list()).find((actor) => actor.actorId === actorId);
  if (found === undefined) throw new Error(`no ${actorId}`);
  return found;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function countAll(messages: AsyncIterable<{ value: number }>): Promise<number> {
  let last = 0;
  for await (const { value } of messages) last = value;
  return last;
}

/** The rejection reason of a promise. */
async function failure(work: Promise<unknown>): Promise<ActorError> {
  const thrown: unknown = await work.then(
    () => new Error('it did not fail'),
    (error: unknown) => error,
  );
  if (thrown instanceof ActorError) return thrown;
  throw thrown;
}

describe('calls', () => {
  let actor: ActorHandle<EchoServiceClient>;
  let actorId: string;
  beforeAll(async () => {
    ({ echo: actor, actorId } = await spawnEcho());
  });

  it('are answered by a process of their own', async () => {
    const answer = await actor.say({ text: 'grüß dich' });
    expect(answer).toMatchObject({ text: 'grüß dich', incarnation: 1 });
    expect(answer.pid).toBe((await status(actorId)).pid);
    expect(answer.pid).not.toBe(process.pid);
  });

  it('stream, honouring a slow reader', async () => {
    const values: number[] = [];
    for await (const { value, padding } of actor.count({ until: 100, paddingBytes: 300_000 })) {
      expect(padding).toHaveLength(300_000);
      values.push(value);
      if (value % 25 === 0) await delay(20);
    }
    expect(values).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
  });

  it('carry the errors of handlers', async () => {
    await expect(actor.fail({ kind: 'user' })).rejects.toMatchObject({
      name: 'UserError',
      message: 'budget must not be negative',
    });
    const refused = await failure(actor.fail({ kind: 'status' }));
    expect(refused).toMatchObject({ code: 'FAILED_PRECONDITION', actorId, incarnation: 1, retryable: false });
    expect(refused.message).toBe(`Actor ${actorId}: not opened`);
    const defect = await failure(actor.fail({ kind: 'defect' }));
    expect(defect).toMatchObject({ code: 'INTERNAL', retryable: false });
    expect(`${defect.message} ${defect.stack}`).not.toContain('echo.mjs');
    await eventually(async () =>
      expect(await readFile(join(folder, 'logs', `${actorId}.log`), 'utf8')).toContain('echo.mjs'),
    );
  });

  it('end at their deadline, in the handler too', async () => {
    const notePath = join(folder, 'deadline');
    const late = await failure(actor.wait({ notePath }, { deadlineMs: 300 }));
    expect(late).toMatchObject({ code: 'DEADLINE_EXCEEDED', actorId, retryable: false });
    await eventually(async () => expect(await readFile(notePath, 'utf8')).toMatch(/deadline|cancelled/));
  });

  it('are cancelled by the caller, in the handler too', async () => {
    const notePath = join(folder, 'cancelled');
    const controller = new AbortController();
    const call = actor.wait({ notePath }, { signal: controller.signal });
    await eventually(() => expect(existsSync(notePath)).toBe(true));
    controller.abort(new Error('changed my mind'));
    await expect(call).rejects.toThrow('changed my mind');
    await eventually(async () => expect(await readFile(notePath, 'utf8')).toBe('the caller cancelled'));
  });

  it('to an actor that was never started fail at once', async () => {
    const unknown = await failure(system.handle(echo, 'nobody').say({ text: '' }));
    expect(unknown).toMatchObject({ code: 'NOT_FOUND', retryable: false, incarnation: 0 });
  });

  it('reach the same actor as plain gRPC, with health checking', async () => {
    const { address, metricsAddress } = await status(actorId);
    const health = plainCalls(healthService(), pool, address ?? '');
    expect(await health.check({ service: 'ballast.test.EchoService' })).toEqual({ status: 'SERVING' });
    await expect(health.check({ service: 'ballast.test.Other' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    const metrics = await (await fetch(`http://${metricsAddress}/metrics`)).text();
    expect(metrics).toContain(`ballast_calls_total{method="ballast.test.EchoService/Say",code="OK"`);
  });
});

describe('supervision', () => {
  it('restarts a killed process; idempotent calls go on, others fail and say how it ended', async () => {
    const { echo: actor, actorId } = await spawnEcho();
    const { pid } = await actor.say({ text: '' });
    const once = actor.say({ text: 'once', delayMs: 20_000 });
    const stream = countAll(actor.count({ until: 1_000_000, paddingBytes: 10_000 }));
    const retried = actor.repeat({ text: 'again', delayMs: 300 });
    const failures = Promise.all([failure(once), failure(stream)]);
    await delay(100);
    process.kill(pid, 'SIGKILL');

    for (const lost of await failures) {
      expect(lost).toMatchObject({ code: 'UNAVAILABLE', actorId, incarnation: 1, retryable: true });
      expect(lost.message).toContain('was ended by SIGKILL');
      expect(lost.lastLogLines.join()).toContain('"message":"serving"');
    }
    expect(await retried).toMatchObject({ text: 'again', incarnation: 2 });
    expect(await actor.say({ text: 'new' })).toMatchObject({ incarnation: 2 });
    expect(isRunning(pid)).toBe(false);
  });

  it('fails calls that may not run twice at once while an actor restarts', async () => {
    const { echo: actor, actorId } = await spawnEcho({ restart: { initialBackoffMs: BACKOFF_MS } });
    await actor.say({ text: '' });
    const exit = await failure(actor.fail({ kind: 'exit' }));
    expect(exit.message).toContain('exited with code 3');
    expect(exit.lastLogLines.join()).toContain('about to fail');
    const startMs = performance.now();
    expect(await failure(actor.say({ text: '' }))).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    expect(performance.now() - startMs).toBeLessThan(BACKOFF_MS); // it did not wait
    expect((await status(actorId)).state).toBe('restarting');
    expect(await actor.repeat({ text: 'waits' })).toMatchObject({ incarnation: 2 });
  });

  it('gives up at the restart limit and says why, to calls in wait too', async () => {
    const { echo: actor, actorId } = await spawnEcho({
      args: { startError: 'defect' },
      restart: { maxRestarts: 1, initialBackoffMs: 50 },
    });
    const lost = await failure(actor.repeat({ text: '' }));
    expect(lost).toMatchObject({ code: 'UNAVAILABLE', incarnation: 2, retryable: false });
    expect(lost.message).toContain('exited with code 1; not restarted: its limit of 1 restarts');
    expect(lost.lastLogLines.join()).toContain('broken start');
    expect(await failure(system.ready(actorId))).toMatchObject({ code: 'UNAVAILABLE', retryable: false });
  });

  it("does not restart an actor that has a user's mistake to tell", async () => {
    const { actorId } = await spawnEcho({ args: { startError: 'user' } });
    const lost = await failure(system.ready(actorId));
    expect(lost).toMatchObject({ incarnation: 1, retryable: false });
    expect(lost.lastLogLines.join()).toContain('no such data folder');
  });

  it('kills and restarts a process that hangs', async () => {
    const watchful = await startNode({
      runDir: join(folder, 'watchful'),
      log: silentLog,
      entryRoots: [FIXTURES],
      heartbeatMs: 100,
    });
    const ownSystem = new ActorSystem({ node: watchful, transport: pool });
    const restart = { initialBackoffMs: 50, maxRestarts: 20 }; // a busy machine may keep a process silent for as long
    const actor = await ownSystem.spawn(echo, { actorId: 'hangs', restart });
    const { pid } = await actor.say({ text: '' });
    process.kill(pid, 'SIGSTOP');
    const lost = await failure(actor.say({ text: '' }));
    expect(lost.message).toContain('was ended by SIGKILL (gave no sign of life for');
    expect((await actor.repeat({ text: '' })).incarnation).toBeGreaterThan(1);
    await ownSystem.close();
    await watchful.close();
  });

  it('reports a wait that was too short', async () => {
    const { echo: actor } = await spawnEcho();
    const early = await failure(actor.say({ text: '' }, { deadlineMs: 20 }));
    expect(early).toMatchObject({ code: 'DEADLINE_EXCEEDED', retryable: true });
    expect(early.message).toContain('still pending');
  });

  it('stops cleanly: SIGTERM, clean-up, exit code 0', async () => {
    const stopNote = join(folder, 'stop-note');
    const { echo: actor, actorId } = await spawnEcho({ args: { stopNote } });
    const { pid } = await actor.say({ text: '' });
    const pending = failure(actor.say({ text: '', delayMs: 20_000 }));
    await delay(50);
    await system.stop(actorId);
    expect(await readFile(stopNote, 'utf8')).toBe('stopped cleanly');
    expect(await status(actorId)).toMatchObject({ state: 'dead', reason: 'stopped', exitCode: 0, pid: null });
    expect(isRunning(pid)).toBe(false);
    expect(await pending).toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('ends what an earlier coordinator left under an id of a run', async () => {
    const { echo: left, actorId } = await spawnEcho();
    const { pid } = await left.say({ text: '' });
    const successor = await (await spawnOwn(system, echo, { actorId })).say({ text: '' });
    expect(successor.pid).not.toBe(pid);
    expect(isRunning(pid)).toBe(false);
  });

  it('refuses what cannot work', async () => {
    const { actorId } = await spawnEcho();
    await expect(spawnEcho({ actorId })).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
      message: `Actor id '${actorId}' is taken: choose another, or stop that actor first.`,
    });
    await expect(spawnEcho({ actorId: 'a/b' })).rejects.toThrow("Actor id 'a/b'");
    await expect(system.spawn({ ...echo, entry: '/etc/passwd' }, { actorId: 'x' })).rejects.toThrow(
      'lies outside',
    );
  });
});

describe('a node in another process', () => {
  it('spawns, watches, kills and stops through gRPC', async () => {
    const remote = new ActorSystem({ node: connectNode(pool, node.address), transport: pool });
    const seen: string[] = [];
    const controller = new AbortController();
    const watching = (async () => {
      for await (const { actorId, state, incarnation } of remote.node.watch(controller.signal)) {
        if (actorId === 'remote-echo') seen.push(`${state} ${incarnation}`);
      }
    })();
    const actor = await remote.spawn(echo, { actorId: 'remote-echo', restart: { initialBackoffMs: 50 } });
    await actor.say({ text: '' });
    await remote.node.kill('remote-echo');
    expect(await actor.repeat({ text: '' })).toMatchObject({ incarnation: 2 });
    await remote.stop('remote-echo');
    await eventually(() => expect(seen.at(-1)).toBe('dead 2'));
    expect([...new Set(seen)]).toEqual([
      'pending 1',
      'alive 1',
      'restarting 1',
      'restarting 2',
      'alive 2',
      'dead 2',
    ]);
    controller.abort();
    await watching;
    await expect(remote.stop('nobody')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(remote.spawn(echo, { actorId: 'a b' })).rejects.toMatchObject({ name: 'UserError' });
    await remote.close();
  });

  it('killed with SIGKILL leaves no process behind', async () => {
    const runDir = join(folder, 'killed-node');
    const child = spawn(process.execPath, [join(FIXTURES, 'node-process.mjs'), runDir, ECHO_ENTRY], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const line = await new Promise<string>((resolve) =>
      child.stdout.once('data', (text) => resolve(String(text))),
    );
    const pids = JSON.parse(line) as number[];
    expect(pids.map(isRunning)).toEqual([true, true]);
    child.kill('SIGKILL');
    await eventually(() => expect(pids.map(isRunning)).toEqual([false, false]));
  });
});

describe('objects between processes', () => {
  it('are pulled by the receiver and verified', async () => {
    const [{ echo: holder }, { echo: receiver }] = [await spawnEcho(), await spawnEcho()];
    const { object } = await holder.put({ sizeBytes: 5_000_000 });
    if (object === null) throw new Error('no object');
    const digest = createHash('sha256').update(new Uint8Array(5_000_000).fill(7)).digest('hex');
    expect(object).toMatchObject({ sizeBytes: 5_000_000, digest });
    expect((await receiver.fetch({ object })).text).toBe(digest);
    const forged = { ...object, digest: 'f'.repeat(64) };
    const refused = await failure(receiver.fetch({ object: forged }));
    expect(refused).toMatchObject({ code: 'DATA_LOSS', retryable: false });
    expect(refused.message).toContain(object.id);
  });

  it('of a process that is gone are reported lost', async () => {
    const [{ echo: holder, actorId }, { echo: receiver }] = [await spawnEcho(), await spawnEcho()];
    const { object } = await holder.put({ sizeBytes: 10 });
    await node.kill(actorId);
    await holder.repeat({ text: 'back' });
    expect((await failure(receiver.fetch({ object }))).code).toMatch(/UNAVAILABLE|NOT_FOUND/);
  });
});
