// `ballast run --nats`: its events on a real NATS server, read there by a plain NATS client.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { AckPolicy, connect } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../common/package-root.ts';
import { ballast } from './support/cli.ts';
import { hasNats, noNats, type NatsServer, startNats, stopNats } from './support/nats.ts';
import { EPOCHS, jsonLines, newFolder, readReport, referenceRun, runArgs } from './support/suite.ts';
import { readFileSync } from 'node:fs';

/** No test, and no process without root, listens on this port. */
const NOBODY_LISTENS = 'nats://127.0.0.1:1';

describe.skipIf(!hasNats)(`events on NATS${noNats}`, () => {
  let server: NatsServer;

  beforeAll(async () => {
    server = await startNats(['-js', '-sd', newFolder('jetstream')]);
  });
  afterAll(() => stopNats(server));

  /** Every message of the only stream there is. */
  async function readStream() {
    const connection = await connect({ servers: server.url });
    const manager = await connection.jetstreamManager();
    const [stream, ...others] = await manager.streams.list().next();
    expect(others).toEqual([]);
    const { name } = stream!.config;
    await manager.consumers.add(name, { durable_name: 'reader', ack_policy: AckPolicy.None });
    const consumer = await connection.jetstream().consumers.get(name, 'reader');
    const messages = await consumer.fetch({ max_messages: stream!.state.messages, expires: 5000 });
    const read: { topic: string; payload: unknown }[] = [];
    for await (const message of messages) {
      const topic = message.subject.split('.').slice(2).join('.');
      read.push({ topic, payload: message.json<{ payload: unknown }>().payload });
    }
    await connection.close();
    return { name, read };
  }

  it('publishes there what its own file holds', async () => {
    const dir = join(newFolder('nats'), 'shapes');
    const end = await ballast(await runArgs(dir, '--nats', server.url));
    const { name, read } = await readStream();
    expect(name).toMatch(/^BALLAST_shapes-[0-9a-f]{8}$/);
    const subjects = `ballast.${name.slice('BALLAST_'.length)}.>`;
    expect(end).toMatchObject({ code: 0, stderr: `events: NATS stream ${name}, subjects ${subjects}\n` });
    const kept = jsonLines<{ topic: string; payload: unknown }>(
      readFileSync(join(dir, 'events.jsonl'), 'utf8'),
    ).map(({ topic, payload }) => ({ topic, payload }));
    expect(read).toEqual(kept);
    expect(read.filter(({ topic }) => topic === 'epoch.finished')).toHaveLength(EPOCHS);
    expect(readReport(dir).weightsDigest).toBe(readReport((await referenceRun()).dir).weightsDigest);
  });

  it('is followed by the example, keeps its events for a day, and marks where the folder was overwritten', async () => {
    const dir = join(newFolder('nats'), 'followed');
    const args = await runArgs(dir, '--nats', server.url, '--method', 'erm', '--epochs', '1');
    const { code, stderr } = await ballast(args);
    expect(code, stderr).toBe(0);
    const [, stream = ''] = /NATS stream (\S+),/.exec(stderr) ?? [];
    const follow = async () => {
      const example = join(packageRoot(), 'examples/events/subscribe.mjs');
      const { stdout } = await promisify(execFile)('node', [example, server.url, stream], {
        timeout: 60_000,
      });
      return stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.split(' ')[2]);
    };
    const topics = await follow();
    expect(topics).toEqual(expect.arrayContaining(['run.started', 'epoch.finished']) as string[]);
    expect(topics.at(-1)).toBe('run.finished');
    const connection = await connect({ servers: server.url });
    const { streams } = await connection.jetstreamManager();
    expect((await streams.info(stream)).config.max_age).toBe(86_400 * 1e9);
    expect((await ballast([...args, '--overwrite'])).code).toBe(0);
    const { state } = await streams.info(stream);
    expect(state.messages).toBe(2 * topics.length + 1);
    const marker = await streams.getMessage(stream, { seq: topics.length + 1 });
    expect(marker.subject).toMatch(/\.run\.replaced$/);
    await streams.delete(stream); // the other test looks for the only one
    await connection.close();
  });
});

it('an unreachable server is one clear line, and is not waited for', async () => {
  const dir = join(newFolder('no-nats'), 'run');
  const url = NOBODY_LISTENS;
  const args = await runArgs(dir, '--nats', url);
  const startMs = performance.now();
  const end = await ballast(args);
  expect(end).toMatchObject({ code: 1, stdout: '' });
  expect(end.stderr).toMatch(/^error: Cannot reach NATS at 127\.0\.0\.1:\d+ .*nats-server -js[^\n]*\n$/);
  expect(performance.now() - startMs).toBeLessThan(60_000);
  expect(existsSync(join(dir, 'config.json'))).toBe(false);
});
