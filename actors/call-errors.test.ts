import { expect, it } from 'vitest';
import { UserError } from '../common/errors.ts';
import { createLog } from '../common/log.ts';
import { CallError, toPublicFailure, WireError } from './call-errors.ts';

function told(thrown: unknown) {
  const lines: string[] = [];
  const log = createLog({ write: (line) => lines.push(line) });
  return { failure: toPublicFailure(thrown, log), log: lines.join('') };
}

it('tells callers outside what is meant for them', () => {
  expect(told(new UserError('seed is -1'))).toEqual({
    failure: { code: 'INVALID_ARGUMENT', message: 'seed is -1', kind: 'user' },
    log: '',
  });
  const { failure } = told(new CallError('NOT_FOUND', 'no run a'));
  expect(failure).toEqual({ code: 'NOT_FOUND', message: 'no run a', kind: 'status' });
});

it.each([
  new Error('ENOENT: /srv/secret/place'),
  new WireError({ code: 'INTERNAL', message: 'x is undefined at /srv/secret/place', kind: 'internal' }),
  'a text at /srv/secret/place',
])('of a defect only where to find it: %s', (thrown) => {
  const { failure, log } = told(thrown);
  expect(failure).toMatchObject({ code: 'INTERNAL', kind: 'internal' });
  const [, reference] = /^internal error ([0-9a-f]{8}): the server's log tells more$/.exec(failure.message)!;
  expect(log).toContain(`"reference":"${reference}"`);
  expect(log).toContain('/srv/secret/place');
});
