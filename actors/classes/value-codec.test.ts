import { describe, expect, it } from 'vitest';
import { UserError } from '../../common/errors.ts';
import { decodeThrown, encodeThrown } from './thrown-error.ts';
import { decodeValue, encodeParts, encodeValue } from './value-codec.ts';
import { ValueRef } from './value-ref.ts';

const there = (value: unknown) => decodeValue(encodeValue(value, 'It'));

describe('values', () => {
  const cyclic: { self?: unknown } = {};
  cyclic.self = cyclic;
  it.each([
    ['undefined', undefined],
    ['minus zero', -0],
    ['not a number', NaN],
    ['a bigint', 2n ** 80n],
    ['a date', new Date(5)],
    ['a map of sets', new Map([['a', new Set([1, 'x'])]])],
    ['a regular expression', /a+/gi],
    ['a hole', [1, , 3]],
    ['an undefined field', { a: undefined }],
    ['a lone surrogate', '\uD800'],
    ['plain data', [{ by: 1, at: [true, null, 'ü'] }]],
    ['many', Array.from({ length: 1000 }, (_, i) => ({ i }))],
    ['a cycle', cyclic],
    ['floats', new Float64Array([1.5, -2])],
    ['an array with a name', Object.assign([1], { unit: 'm' })],
  ])('%s arrives as it was', (_what, value) => {
    expect(there(value)).toStrictEqual(value);
  });

  it('typed arrays arrive in memory of their own', () => {
    const frame = new Uint8Array(100);
    const bytes = encodeValue(new Float32Array([1, 2]), 'It');
    frame.set(bytes, 3);
    const floats = decodeValue(frame.subarray(3, 3 + bytes.length)) as Float32Array;
    frame.fill(0);
    expect([...floats]).toEqual([1, 2]);
    expect(floats.buffer).not.toBe(frame.buffer);
  });

  it.each([
    ['a function', () => 1, /\(\) => 1 could not be cloned/],
    ['a promise', Promise.resolve(), /Promise/],
    ['a symbol', Symbol('x'), /Symbol\(x\)/],
    ['a function inside', { a: [() => 2] }, /could not be cloned/],
  ])('%s is refused with one clear line', (_what, value, message) => {
    expect(() => there(value)).toThrow(UserError);
    expect(() => there(value)).toThrow(message);
    expect(() => there(value)).toThrow(/^It cannot be sent: /);
  });

  it('in parts: large arrays are not copied, and lie at multiples of 64 bytes', () => {
    const [large, small] = [new Float64Array(10_000).fill(1.5), new Uint16Array([1, 2, 3])];
    const value = {
      large,
      small,
      again: large,
      bytes: Buffer.alloc(65_537, 7),
      view: new DataView(new ArrayBuffer(4)),
    };
    const parts = encodeParts(value, 'It');
    expect(parts.some(({ buffer, byteLength }) => buffer === large.buffer && byteLength === 80_000)).toBe(
      true,
    );
    const whole = Uint8Array.from(Buffer.concat(parts));
    const back = decodeValue(whole, true) as typeof value;
    expect(back).toStrictEqual(value);
    expect(back.again).toBe(back.large);
    expect(back.large.buffer).toBe(whole.buffer);
    expect(back.large.byteOffset % 64).toBe(0);
    expect((decodeValue(whole) as typeof value).large.buffer).not.toBe(whole.buffer);
    expect(Buffer.concat(encodeParts(small, 'It'))).toEqual(encodeValue(small, 'It'));
    expect(() => decodeValue(whole.subarray(0, 90_000))).toThrow('the bytes are not an encoded value');
    expect(() => decodeValue(Uint8Array.of(0x50, 0, 0, 0, 255, 255, 255, 255, 1))).toThrow(
      'not an encoded value',
    );
  });

  it('references anywhere in a value arrive as references', () => {
    const ref = new ValueRef({ id: 'n/a/1/1', sizeBytes: 9, digest: '', holders: ['h:1'] });
    const inline = new ValueRef({
      id: 'i',
      sizeBytes: 2,
      digest: '',
      holders: [],
      inline: Uint8Array.of(1, 2),
    });
    const seen: ValueRef[] = [];
    const onRef = (one: ValueRef) => `transit/${seen.push(one)}`;
    const bytes = encodeValue([ref, new Map([['a', { ref, inline }]])], 'It', { onRef });
    const [first, map] = decodeValue(bytes) as [ValueRef, Map<string, { ref: ValueRef; inline: ValueRef }>];
    expect(seen).toEqual([ref]);
    expect(first).toBeInstanceOf(ValueRef);
    expect(first.toJSON()).toEqual(ref.toJSON());
    expect(map.get('a')!.ref).toBe(first);
    expect(map.get('a')!.inline.toJSON()).toEqual(inline.toJSON());
    const forged = new ValueRef({ ...ref.toJSON(), id: '../x' });
    expect(() => there([forged])).toThrow('the bytes are not an encoded value');
  });

  it('a key named __proto__ stays data', () => {
    const hostile = Buffer.from('J{"__proto__":{"isAdmin":true}}');
    expect((decodeValue(hostile) as { isAdmin?: boolean }).isAdmin).toBeUndefined();
  });

  it('damaged bytes give an error or some value, and nothing worse', () => {
    const samples = [
      new Map([['a', [1n, new Date(1), /x/]]]),
      new Float32Array(8),
      new ValueRef({ id: 'n/1', sizeBytes: 1, digest: '', holders: ['h:1'] }),
      new Error('e'),
      [{ a: 'text' }],
    ];
    let seed = 1;
    const draw = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below;
    for (const sample of samples) {
      const whole = Buffer.concat([Buffer.of(0x56), encodeValue([sample, undefined], 'It').subarray(1)]);
      for (let i = 0; i < 500; i++) {
        const damaged = Buffer.from(whole);
        for (let change = 0; change <= draw(4); change++) damaged[1 + draw(whole.length - 1)] = draw(256);
        const cut = damaged.subarray(0, 1 + draw(whole.length));
        try {
          decodeValue(cut);
        } catch (thrown) {
          expect(thrown).toMatchObject({ name: 'CallError', code: 'INVALID_ARGUMENT' });
        }
      }
    }
  });

  it.each([
    ['nothing', ''],
    ['another tag', 'X1'],
    ['half of JSON', 'J{"a"'],
  ])('%s is refused', (_what, text) => {
    expect(() => decodeValue(Buffer.from(text))).toThrow('the bytes are not an encoded value');
  });
});

it('a small array has a buffer of its own', () => {
  const { buffer, byteOffset } = decodeValue(encodeValue(Uint8Array.of(1, 2, 3, 4), 'It')) as Uint8Array;
  expect([byteOffset, [...new Uint8Array(buffer)]]).toEqual([0, [1, 2, 3, 4]]);
});

describe('errors', () => {
  class OutOfStock extends Error {
    override readonly name = 'OutOfStock';
    readonly left = 3;
  }
  const thrownThere = (thrown: unknown, classes = [OutOfStock]) =>
    decodeThrown(encodeThrown(thrown), classes, 'Shop.buy (actor shop-1)');

  it('keep class, message, fields, causes and stack', () => {
    const cause = new TypeError('no number', { cause: 'a string' });
    const error = thrownThere(new OutOfStock('none left', { cause })) as OutOfStock;
    expect(error).toBeInstanceOf(OutOfStock);
    expect(error).toMatchObject({ name: 'OutOfStock', message: 'none left', left: 3 });
    expect(error.cause).toBeInstanceOf(TypeError);
    expect(error.cause).toMatchObject({ message: 'no number', cause: 'a string' });
    expect(error.stack).toMatch(/value-codec\.test\.ts[^]*\n {4}at Shop\.buy \(actor shop-1\)$/);
  });

  it('of an unknown class keep its name', () => {
    const error = thrownThere(new OutOfStock('none left'), []) as Error;
    expect(error).not.toBeInstanceOf(OutOfStock);
    expect(error).toBeInstanceOf(Error);
    expect(error.name).toBe('OutOfStock');
  });

  it('a UserError stays one; what is no error comes as it was', () => {
    expect(thrownThere(new UserError('Add something.'))).toBeInstanceOf(UserError);
    expect(thrownThere({ code: 7 })).toEqual({ code: 7 });
  });

  it('fields that cannot be sent are left out; stacks steer no terminal', () => {
    const error = Object.assign(new Error('bad'), {
      retry: () => 1,
      tries: 2,
      stack: 'Error: \u001b[2Jbad\n    at x',
    });
    const there = thrownThere(error) as Error & { retry?: unknown };
    expect(there).toMatchObject({
      tries: 2,
      stack: expect.stringContaining('Error: \uFFFD[2Jbad\n') as string,
    });
    expect(there.retry).toBeUndefined();
  });

  it('are known by their class when it gives them no name', () => {
    class Bad extends Error {}
    class Worse extends Error {}
    const classOf = (thrown: Error) => (thrownThere(thrown, [Bad, Worse] as never) as Error).constructor;
    expect([new Bad('b'), new Worse('w'), new Error('e'), new TypeError('t')].map(classOf)).toEqual([
      Bad,
      Worse,
      Error,
      TypeError,
    ]);
  });

  it('of older processes, without the class, are known by their name', () => {
    const facts = { name: 'OutOfStock', message: 'none', stack: '', fields: {}, cause: null };
    const error = (name: string) => encodeValue({ error: { ...facts, name } }, 'It');
    expect(decodeThrown(error('OutOfStock'), [OutOfStock], '')).toBeInstanceOf(OutOfStock);
    expect(decodeThrown(error('Error'), [OutOfStock], '')).not.toBeInstanceOf(OutOfStock);
  });

  it('an AggregateError keeps its errors, also within another', () => {
    const inner = new AggregateError([new RangeError('a')], 'inner');
    const error = thrownThere(new AggregateError([new OutOfStock('b'), 'c', inner], 'all')) as AggregateError;
    expect(error).toBeInstanceOf(AggregateError);
    const [stock, text, deep] = error.errors as [unknown, unknown, AggregateError];
    expect(stock).toBeInstanceOf(OutOfStock);
    expect(text).toBe('c');
    expect(deep.errors[0]).toBeInstanceOf(RangeError);
    inner.errors.push(inner);
    expect(thrownThere(inner)).toMatchObject({ message: 'inner' });
  });

  it('causes in a circle end', () => {
    const error = new Error('round');
    error.cause = error;
    expect(thrownThere(error)).toMatchObject({ message: 'round', cause: { message: 'round' } });
  });
});
