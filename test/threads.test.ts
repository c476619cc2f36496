// Actors in threads of the node's thread host: what holds for processes holds for them.
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../common/testing/eventually.ts';
import { ActorError, ActorSystem } from '../actors/index.ts';
import type { ActorHandle, ActorStatus, Node, SpawnOptions } from '../actors/index.ts';
import { echo } from './fixtures/actors/echo.ts';
import type { EchoServiceClient } from './fixtures/actors/echo.ts';
import { type EchoNode, startEchoNode } from './support/echo-node.ts';

let folder: string;
let node: Node;
let system: ActorSystem;
let end: EchoNode['end'];
let actors = 0;

beforeAll(async () => {
  ({ folder, node, system, end } = await startEchoNode());
});

afterAll(() => end());

async function spawnEcho(
  options: Partial<SpawnOptions> = {},
): Promise<{ echo: ActorHandle<EchoServiceClient>; actorId: string }> {
  const actorId = `thread-${++actors}`;
  const restart = { initialBackoffMs: 50 };
  const handle = await system.spawn(echo, { actorId, restart, isolation: 'thread', ...options });
  return { echo: handle, actorId };
}

async function status(isWanted: (status: ActorStatus) => boolean): Promise<ActorStatus> {
  const found = (await node.list()).find(isWanted);
  if (found === undefined) throw new Error('no such actor');
  return found;
}

const statusOf = (actorId: string) => status((actor) => actor.actorId === actorId);
const hostStatus = () => status(({ type }) => type === 'thread-host');

async function failure(work: Promise<unknown>): Promise<ActorError> {
  const thrown: unknown = await work.then(
    () => new Error('it did not fail'),
    (error: unknown) => error,
  );
  if (thrown instanceof ActorError) return thrown;
  throw thrown;
}

describe('calls', () => {
  it('are answered by threads of one process, which is not the node’s', async () => {
    const [one, two] = [await spawnEcho(), await spawnEcho()];
    const answers = [await one.echo.say({ text: 'grüß dich' }), await two.echo.say({ text: 'b' })];
    expect(answers.map(({ text, incarnation }) => [text, incarnation])).toEqual([
      ['grüß dich', 1],
      ['b', 1],
    ]);
    const { pid } = await hostStatus();
    expect(answers.map((answer) => answer.pid)).toEqual([pid, pid]);
    expect(pid).not.toBe(process.pid);
  });

  it('stream in order, more than the window', async () => {
    const { echo: actor } = await spawnEcho();
    const values: number[] = [];
    for await (const { value, padding } of actor.count({ until: 100, paddingBytes: 10_000 })) {
      expect(padding).toHaveLength(10_000);
      values.push(value);
    }
    expect(values).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
  });

  it('carry the errors of handlers', async () => {
    const { echo: actor, actorId } = await spawnEcho();
    await expect(actor.fail({ kind: 'user' })).rejects.toMatchObject({
      name: 'UserError',
      message: 'budget must not be negative',
    });
    expect(await failure(actor.fail({ kind: 'status' }))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: `Actor ${actorId}: not opened`,
    });
    expect(await failure(actor.fail({ kind: 'defect' }))).toMatchObject({ code: 'INTERNAL' });
    await eventually(async () =>
      expect(await readFile(join(folder, 'logs', `${actorId}.log`), 'utf8')).toContain('echo.mjs'),
    );
  });

  it('a message that is too large fails its call, and no other thread', async () => {
    const [one, two] = [await spawnEcho(), await spawnEcho()];
    const { pid } = await two.echo.say({ text: '' });
    const values = one.echo.count({ until: 2, paddingBytes: 5 * 1024 * 1024 });
    expect(await failure(values[Symbol.asyncIterator]().next())).toMatchObject({ code: 'OUT_OF_RANGE' });
    expect(await one.echo.say({ text: 'still' })).toMatchObject({ text: 'still', incarnation: 1, pid });
    expect(await two.echo.say({ text: 'there' })).toMatchObject({ text: 'there', incarnation: 1, pid });
  });

  it('are cancelled in the handler too', async () => {
    const { echo: actor } = await spawnEcho();
    const notePath = join(folder, 'cancelled');
    const controller = new AbortController();
    const call = actor.wait({ notePath }, { signal: controller.signal });
    await eventually(() => expect(existsSync(notePath)).toBe(true));
    controller.abort(new Error('changed my mind'));
    await expect(call).rejects.toThrow('changed my mind');
    await eventually(async () => expect(await readFile(notePath, 'utf8')).toBe('the caller cancelled'));
  });

  it('go to other actors: a thread spawns one, which ends with it', async () => {
    const { echo: actor, actorId } = await spawnEcho();
    const { text: childId } = await actor.spawnChild({ isolation: 'thread' });
    const child = system.handle(echo, childId);
    expect(await child.say({ text: 'child' })).toMatchObject({ text: 'child', incarnation: 1 });
    expect(await statusOf(childId)).toMatchObject({ isolation: 'thread', owner: `${actorId}/1` });
    await system.stop(actorId);
    await eventually(async () => expect((await statusOf(childId)).state).toBe('dead'));
  });
});

describe('objects', () => {
  it('put by one thread are read by another, and freed with the first', async () => {
    const [holder, receiver] = [await spawnEcho(), await spawnEcho()];
    const { object } = await holder.echo.put({ sizeBytes: 500_000 });
    const digest = createHash('sha256').update(new Uint8Array(500_000).fill(7)).digest('hex');
    expect(object).toMatchObject({ sizeBytes: 500_000, digest });
    expect((await receiver.echo.fetch({ object })).text).toBe(digest);
    await system.stop(holder.actorId);
    const late = await spawnEcho();
    expect((await failure(late.echo.fetch({ object }))).code).toMatch(/NOT_FOUND|UNAVAILABLE/);
  });
});

describe('lives', () => {
  it('a killed thread is restarted alone', async () => {
    const [victim, other] = [await spawnEcho(), await spawnEcho()];
    await Promise.all([victim.echo.say({ text: '' }), other.echo.say({ text: '' })]);
    const lost = failure(victim.echo.say({ text: '', delayMs: 20_000 }));
    const kept = other.echo.say({ text: 'kept', delayMs: 300 });
    await new Promise((resolve) => setTimeout(resolve, 100));
    await node.kill(victim.actorId);
    expect(await lost).toMatchObject({ code: 'UNAVAILABLE', incarnation: 1, retryable: true });
    expect(await victim.echo.repeat({ text: 'again' })).toMatchObject({ incarnation: 2 });
    expect(await kept).toMatchObject({ text: 'kept', incarnation: 1 });
  });

  it('one that is killed within native code is followed by the next when it has ended', async () => {
    const { echo: actor, actorId } = await spawnEcho();
    const notePath = join(folder, 'native');
    const lost = failure(actor.wait({ notePath, isNative: true }));
    await eventually(() => expect(existsSync(notePath)).toBe(true));
    await node.kill(actorId);
    expect(await lost).toMatchObject({ code: 'UNAVAILABLE', incarnation: 1 });
    expect((await statusOf(actorId)).incarnation).toBe(1);
    await writeFile(`${notePath}.go`, '');
    expect(await actor.repeat({ text: '' })).toMatchObject({ incarnation: 2 });
    for (let i = 0; i < 3; i++) expect(await actor.say({ text: '' })).toMatchObject({ incarnation: 2 });
  });

  it('one that exits is restarted, and its log gives the reason', async () => {
    const { echo: actor } = await spawnEcho();
    const lost = await failure(actor.fail({ kind: 'exit' }));
    expect(lost.message).toContain('exited with code 3');
    expect(lost.lastLogLines.join()).toContain('about to fail');
    expect(await actor.repeat({ text: '' })).toMatchObject({ incarnation: 2 });
  });

  it.each(['SIGKILL', 'SIGTERM'] as const)('come back after a %s of their host’s process', async (signal) => {
    const [one, two] = [await spawnEcho(), await spawnEcho()];
    const { pid } = await one.echo.say({ text: '' });
    await two.echo.say({ text: '' });
    process.kill(pid, signal);
    const again = async ({ echo: actor }: typeof one) => {
      const answer = await actor.repeat({ text: '' });
      expect(answer.incarnation).toBe(2);
      return answer;
    };
    const answers = await Promise.all([eventually(() => again(one)), eventually(() => again(two))]);
    expect(answers[0].pid).not.toBe(pid);
    expect(answers[1].pid).toBe(answers[0].pid);
  });

  it('stop cleanly', async () => {
    const stopNote = join(folder, 'thread-stop-note');
    const { echo: actor, actorId } = await spawnEcho({ args: { stopNote } });
    await actor.say({ text: '' });
    const pending = failure(actor.say({ text: '', delayMs: 20_000 }));
    await new Promise((resolve) => setTimeout(resolve, 50));
    await system.stop(actorId);
    expect(await readFile(stopNote, 'utf8')).toBe('stopped cleanly');
    expect(await statusOf(actorId)).toMatchObject({ state: 'dead', reason: 'stopped', exitCode: 0 });
    expect(await pending).toMatchObject({ code: 'UNAVAILABLE' });
  });
});

it('a thread has a metrics page of its own', async () => {
  const { echo: actor, actorId } = await spawnEcho();
  await actor.say({ text: '' });
  const { metricsAddress } = await statusOf(actorId);
  const text = await (await fetch(`http://${metricsAddress}/metrics`)).text();
  expect(text).toMatch(
    new RegExp(`ballast_calls_total\\{[^}]*EchoService/Say[^}]*actor="${actorId}"[^}]*\\} 1`),
  );
});
