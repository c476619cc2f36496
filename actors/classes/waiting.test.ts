import { describe, expect, it } from 'vitest';
import { map, mapUnordered } from './waiting.ts';

const same = (value: number) => Promise.resolve(value);

describe.each([
  ['map', map],
  ['mapUnordered', mapUnordered],
])('%s', (_, each) => {
  it('yields an answer while the next input is awaited, which may depend on it', async () => {
    let tell: (value: number) => void = () => undefined;
    async function* inputs() {
      for (let value = 1; value <= 4;) {
        const told = new Promise<number>((resolve) => (tell = resolve));
        yield value;
        value = await told;
      }
    }
    const answers: number[] = [];
    for await (const answer of each(inputs(), same)) {
      answers.push(answer);
      tell(answer + 1);
    }
    expect(answers).toEqual([1, 2, 3, 4]);
  });

  it('can be left while an input is awaited that never comes', async () => {
    async function* inputs() {
      yield 1;
      await new Promise(() => undefined);
    }
    for await (const answer of each(inputs(), same)) {
      expect(answer).toBe(1);
      break;
    }
  });

  it('asks for no more inputs than may be in progress, and ends them when it is left', async () => {
    let asked = 0;
    let isEnded = false;
    function* inputs() {
      try {
        for (;;) yield ++asked;
      } finally {
        isEnded = true;
      }
    }
    let running = 0;
    const most: number[] = [];
    const call = async (value: number) => {
      most.push(++running);
      await new Promise(setImmediate);
      running--;
      return value;
    };
    let left = 10;
    for await (const answer of each(inputs(), call, { inFlight: 3 })) if (answer < 0 || --left === 0) break;
    expect(Math.max(...most)).toBe(3);
    expect(asked).toBeLessThan(16);
    expect(isEnded).toBe(true);
  });

  it('fails with the first call or input that fails, and awaits inputs that are promises', async () => {
    const fail = () => Promise.reject(new Error('no'));
    await expect(each([1], fail).next()).rejects.toThrow('no');
    function* broken() {
      yield 1;
      throw new Error('no more');
    }
    const answers = each(broken(), same, { inFlight: 1 });
    expect((await answers.next()).value).toBe(1);
    await expect(answers.next()).rejects.toThrow('no more');
    expect((await each([Promise.resolve(7)] as unknown as number[], same).next()).value).toBe(7);
  });
});
