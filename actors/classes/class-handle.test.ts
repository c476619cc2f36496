import { expect, it } from 'vitest';
import { withRetries } from './class-handle.ts';

it("ends a wait between two tries with the signal's reason", async () => {
  const controller = new AbortController();
  const reason = new Error('no longer needed');
  let tries = 0;
  const call = () => {
    tries++;
    setImmediate(() => controller.abort(reason)); // during the wait that follows
    return Promise.reject(new Error('failed'));
  };
  await expect(withRetries(call, { retries: 3, signal: controller.signal })).rejects.toBe(reason);
  expect(tries).toBe(1);
});
