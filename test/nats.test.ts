// `ballast run --nats`: its events on a real NATS server, read there by a plain NATS client.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { AckPolicy, connect } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ballast } from './support/cli.ts';
import { freePort, hasNats, type NatsServer, startNats, stopNats } from './support/nats.ts';
import { EPOCHS, jsonLines, newFolder, readReport, referenceRun, runArgs } from './support/suite.ts';
import { readFileSync } from 'node:fs';

const why = hasNats ? '' : ' (skipped: no nats-server on the PATH; `make test` installs it)';

describe.skipIf(!hasNats)(`events on NATS${why}`, () => {
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

  it('tells there what its own file tells', async () => {
    const dir = join(newFolder('nats'), 'shapes');
    const end = await ballast(await runArgs(dir, '--nats', server.url));
    expect(end).toMatchObject({ code: 0, stderr: '' });
    const { name, read } = await readStream();
    expect(name).toMatch(/^BALLAST_shapes-[0-9a-f]{8}$/);
    const kept = jsonLines<{ topic: string; payload: unknown }>(
      readFileSync(join(dir, 'events.jsonl'), 'utf8'),
    ).map(({ topic, payload }) => ({ topic, payload }));
    expect(read).toEqual(kept);
    expect(read.filter(({ topic }) => topic === 'epoch.finished')).toHaveLength(EPOCHS);
    expect(readReport(dir).weightsDigest).toBe(readReport((await referenceRun()).dir).weightsDigest);
  });
});

it('an unreachable server is one clear line, at once', async () => {
  const dir = join(newFolder('no-nats'), 'run');
  const url = `nats://127.0.0.1:${await freePort()}`;
  const args = await runArgs(dir, '--nats', url);
  const startMs = performance.now();
  const end = await ballast(args);
  expect(end).toMatchObject({ code: 1, stdout: '' });
  expect(end.stderr).toMatch(/^error: Cannot reach NATS at 127\.0\.0\.1:\d+ .*nats-server -js[^\n]*\n$/);
  expect(performance.now() - startMs).toBeLessThan(15_000);
  expect(existsSync(join(dir, 'config.json'))).toBe(false);
});
