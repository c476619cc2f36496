import { expect, it } from 'vitest';
import { silentLog } from '../../common/log.ts';
import { healthService } from '../serving/health.ts';
import { rawMethods } from './raw-methods.ts';

it('reads a call’s signal, which is costly to create, only when the handler does', async () => {
  const service = healthService();
  const handlers = { check: () => ({ status: 'SERVING' }), watch: async function* () {} };
  const method = rawMethods(service, handlers).get('/grpc.health.v1.Health/Check')!;
  if (method.isStream) throw new Error('Check answers once');
  const context = {
    deadlineMs: Infinity,
    log: silentLog,
    get signal(): AbortSignal {
      throw new Error('the signal was read');
    },
  };
  const answer = await method.run({ request: new Uint8Array(), requests: null }, context);
  expect([...answer]).toEqual([0x08, 1]); // field 1, a varint: SERVING
});
