// Ports that tests reserve for programs that must be given theirs.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { keepPort } from './support/ports.ts';

/** Far below the ports that other tests take while this one runs, and different from one run to the next. */
const FROM = 20_000 - (process.pid % 10_000);
const turnOf = (port: number) => join(tmpdir(), `ballast-port-${port}`);

it('keeps a port for one holder, passes by those that are taken, and takes over from the dead', async () => {
  const first = await keepPort(FROM);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(first - 1, '127.0.0.1', resolve));
  mkdirSync(turnOf(first - 2), { recursive: true });
  writeFileSync(join(turnOf(first - 2), 'pid'), '1'); // of a process that lives
  mkdirSync(turnOf(first - 3), { recursive: true });
  writeFileSync(join(turnOf(first - 3), 'pid'), String(2 ** 22 + 1)); // above every process id
  try {
    expect(await keepPort(FROM)).toBe(first - 3);
  } finally {
    rmSync(turnOf(first - 2), { recursive: true });
    await new Promise((resolve) => server.close(resolve));
  }
});
