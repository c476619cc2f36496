// Ports that tests reserve for programs that must be given theirs.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, it } from 'vitest';
import { keepPort } from './support/ports.ts';

/** Far below the ports that other tests take while this one runs, and different from one run to the next. */
const FROM = 20_000 - (process.pid % 10_000);

it('keeps a port for one holder, passes by those that are taken, and takes over from the dead', async () => {
  const first = await keepPort(FROM);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(first - 1, '127.0.0.1', resolve));
  const theirs = first - 2;
  const keep = `dgram.createSocket('udp4').bind(${theirs}, '127.0.0.1', () => console.log('kept'))`;
  const holder = spawn(process.execPath, ['-e', keep]);
  try {
    await once(holder.stdout, 'data');
    expect(await keepPort(FROM)).toBeLessThan(theirs);
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    expect(await keepPort(FROM)).toBe(theirs);
  } finally {
    holder.kill('SIGKILL');
    await new Promise((resolve) => server.close(resolve));
  }
});
