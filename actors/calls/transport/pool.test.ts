import { createConnection, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { silentLog } from '../../../common/log.ts';
import { healthService } from '../../serving/health.ts';
import { ServingProcess } from '../../serving/serving-process.ts';
import { serviceCalls } from '../transport.ts';

const processes: ServingProcess[] = [];
afterEach(async () => {
  for (const serving of processes.splice(0)) await serving.stop();
});

async function start(): Promise<ServingProcess> {
  const serving = await ServingProcess.start({ labels: {}, log: silentLog });
  processes.push(serving);
  return serving;
}

it('answers both processes when each has dialled the other at the same time', async () => {
  const [one, other] = [await start(), await start()];
  const check = (from: ServingProcess, to: ServingProcess) =>
    serviceCalls(healthService(), from.pool, to.address).check({ service: '' }, { deadlineMs: 5000 });
  for (let round = 1; round <= 3; round++) {
    const answers = await Promise.all([check(one, other), check(other, one)]);
    expect(answers.map(({ status }) => status)).toEqual(['SERVING', 'SERVING']);
  }
});

it('answers a process that calls itself by another address', async () => {
  const serving = await start();
  const door = createServer((inner) => {
    const outer = createConnection(Number(serving.address.split(':')[1]), '127.0.0.1');
    inner.on('error', () => outer.destroy()).pipe(outer);
    outer.on('error', () => inner.destroy()).pipe(inner);
  });
  await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve));
  const address = `127.0.0.1:${(door.address() as AddressInfo).port}`;
  for (const to of [address, serving.address, address]) {
    const health = serviceCalls(healthService(), serving.pool, to);
    expect(await health.check({ service: '' }, { deadlineMs: 5000 })).toEqual({ status: 'SERVING' });
  }
  door.close();
});
