import { describe, expect, it } from 'vitest';
import { identityOf, named } from './named.ts';

const scale = named('scale', (factor: number, options: object = {}) => ({ factor, options }));

describe('named', () => {
  it('gives name and arguments', () => {
    expect(identityOf(scale(2))).toBe('scale[2]');
    expect(identityOf(scale(2, { widths: [1, -0], clip: Infinity, rule: 'a"b', none: null }))).toBe(
      'scale[2,{"widths":[1,-0],"clip":Infinity,"rule":"a\\"b","none":null}]',
    );
  });

  it('takes a named argument by its identity', () => {
    expect(identityOf(scale(1, { inner: scale(3) }))).toBe('scale[1,{"inner":scale[3]}]');
    expect(identityOf(named('apply', (inner: object) => () => inner)(scale(3)))).toBe('apply[scale[3]]');
  });

  it('gives nothing for arguments that plain text does not tell apart', () => {
    expect(identityOf(scale(1, { map: (x: number) => x }))).toBeNull();
    expect(identityOf(scale(1, [new Map([[1, 2]])]))).toBeNull();
    expect(identityOf(scale(1, [new Float32Array(1)]))).toBeNull();
  });

  it('gives nothing for a changed copy', () => {
    expect(identityOf({ ...scale(1), factor: 2 })).toBeNull();
  });
});
