import { afterEach, expect, it } from 'vitest';
import type { ActorRuntime } from '../actor/hosted-actor.ts';
import type { CallContext } from '../calls/call.ts';
import type { RegisteredClass } from './class-registry.ts';
import { decodeText, encodeText } from './encoded-text.ts';
import { startInstance } from './hosted-class.ts';

class Counter {
  count = 0;
  fail(message: string) {
    this.count++;
    throw new TypeError(message);
  }
  *countUp() {
    const end = () => {
      this.count = 100;
      throw new RangeError('at its end');
    };
    try {
      yield ++this.count;
    } finally {
      end();
    }
  }
  snapshot() {
    return this.count;
  }
}

const cleanUps: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

type Handler = (args: unknown[], call: CallContext) => Promise<unknown>;

async function hosted() {
  const saved: unknown[] = [];
  const methods = new Map([
    ['fail', { responseStream: false }],
    ['countUp', { responseStream: true }],
  ]);
  const registered = { actorClass: Counter, type: { name: 'Counter', service: { methods } }, options: {} };
  const runtime = {
    args: encodeText([], 'It'),
    objects: { references: { settled: () => null } },
    system: {},
    saveState: (state: string) => Promise.resolve(void saved.push(decodeText(state))),
  };
  const started = await startInstance(
    registered as unknown as RegisteredClass,
    runtime as unknown as ActorRuntime,
  );
  cleanUps.push(() => started.onStop?.());
  return { saved, handlers: started.handlers as Readonly<Record<string, Handler>> };
}

const call = {} as CallContext;

it('keeps the state that a method changed before it threw', async () => {
  const { saved, handlers } = await hosted();
  await expect(handlers.fail!(['no'], call)).rejects.toMatchObject({ original: { message: 'no' } });
  expect(saved).toEqual([1]);
});

it('keeps the state when a stream that its caller leaves throws', async () => {
  const { saved, handlers } = await hosted();
  const items = handlers.countUp!([], call) as unknown as AsyncGenerator;
  await items.next();
  await expect(items.return(undefined)).rejects.toThrow('at its end');
  expect(saved).toEqual([100]);
});
