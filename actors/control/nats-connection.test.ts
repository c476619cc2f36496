import { expect, it } from 'vitest';
import { resumePosition } from './event-nats.ts';
import { NatsLink, parseNatsUrl } from './nats-connection.ts';
import { decodeKey, encodeKey } from './registry-nats-buckets.ts';
import { pollEveryMs } from './registry-nats-watch.ts';

it.each([
  ['localhost', { servers: ['localhost:4222'], user: null, password: null, isTls: false }],
  ['nats://h:1', { servers: ['h:1'], user: null, password: null, isTls: false }],
  ['tls://h', { servers: ['h:4222'], user: null, password: null, isTls: true }],
  [
    'nats://me:p%40ss@a:1, b,nats://c:2',
    { servers: ['a:1', 'b:4222', 'c:2'], user: 'me', password: 'p@ss', isTls: false },
  ],
])('reads the address %s', (url, expected) => {
  expect(parseNatsUrl(url)).toEqual(expected);
});

it.each(['', 'http://me:secret@h:1', 'nats://', 'nats://me:secret@h:port', 'nats://a,'])(
  'refuses the address %j, without its password',
  (url) => {
    expect(() => parseNatsUrl(url)).toThrow(/^NATS address '(?!.*secret).*use nats:\/\/HOST:PORT/);
  },
);

it.each([{ credentialsFile: '/no/creds' }, { tokenFile: '/no/token' }, { tls: { caFile: '/no/ca' } }])(
  'names a secret that cannot be read: %j',
  async (secrets) => {
    const connecting = NatsLink.connect({ url: 'nats://127.0.0.1:1', ...secrets });
    await expect(connecting).rejects.toThrow(/Cannot read the NATS \w+ file \/no\//);
  },
);

it('keys keep their dots and slashes apart in NATS', () => {
  expect(encodeKey('nodes/a.b/c-d_e')).toBe('k.nodes.a=b.c-d_e');
  for (const key of ['a', 'a.b', 'a/b', '.', '../..']) expect(decodeKey(encodeKey(key))).toBe(key);
});

it('checks four times per shortest lease which holders are alive, within bounds', () => {
  expect(pollEveryMs([])).toBe(2000);
  expect(pollEveryMs([60_000, 2000])).toBe(500);
  expect(pollEveryMs([200])).toBe(100);
});

it('a subscription goes on where it was, at 1 of another epoch, or at the end of a stream that lost its last events', () => {
  const stream = { epoch: 'e2', lastSequence: 10 };
  expect(resumePosition({ epoch: 'e2', next: 7 }, stream)).toEqual({ epoch: 'e2', next: 7 });
  expect(resumePosition({ epoch: 'e2', next: 11 }, stream)).toEqual({ epoch: 'e2', next: 11 });
  expect(resumePosition({ epoch: 'e2', next: 15 }, stream)).toEqual({ epoch: 'e2', next: 11 });
  expect(resumePosition({ epoch: 'e2', next: -3 }, stream)).toEqual({ epoch: 'e2', next: 1 });
  expect(resumePosition({ epoch: 'e1', next: 7 }, stream)).toEqual({ epoch: 'e2', next: 1 });
});
