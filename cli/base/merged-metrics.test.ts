import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Gauge, Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import type { ActorStatus } from '../../actors/status/status.ts';
import { eventually } from '../../common/testing/eventually.ts';
import { MergedRegistry, mergePages } from './merged-metrics.ts';

describe('MergedRegistry', () => {
  it('has the node and the actors on it, not those on other nodes, nor those that do not answer', async () => {
    const server = createServer((request, response) => {
      response.end(`# HELP images Images\nimages{path="${request.url ?? ''}"} 1\n`);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const registry = new Registry();
    new Gauge({ name: 'cpu', help: 'CPU', registers: [registry] }).set(2);
    const actor = (nodeId: string | null, metricsAddress: string | null) =>
      ({ nodeId, metricsAddress }) as ActorStatus;
    const actors = [
      actor('a', `${address}/x`),
      actor('b', `${address}/y`),
      actor('a', '127.0.0.1:1'),
      actor('a', null),
    ];
    const list = () => Promise.resolve(actors);
    try {
      const merged = new MergedRegistry(() => ({ nodeId: 'a', registry, list }));
      const page = await eventually(async () => {
        const text = await merged.metrics(); // without who is late on a busy machine
        expect(text).toContain('images{path="/x/metrics"} 1');
        return text;
      });
      expect(page).toContain('cpu 2');
      expect(page).not.toContain('/y/');
      expect(await new MergedRegistry(() => null).metrics()).toBe('');
    } finally {
      server.close();
    }
  });
});

describe('mergePages', () => {
  it('says HELP and TYPE once, and keeps every sample with its metric', () => {
    const node = '# HELP cpu CPU\n# TYPE cpu counter\ncpu{process="node"} 1\n';
    const actor =
      '# HELP images Images\n# TYPE images counter\nimages 5\n\n# HELP cpu CPU\n# TYPE cpu counter\ncpu{actor="a"} 2\n';
    expect(mergePages([node, actor, ''])).toBe(
      [
        '# HELP cpu CPU',
        '# TYPE cpu counter',
        'cpu{process="node"} 1',
        'cpu{actor="a"} 2',
        '',
        '# HELP images Images',
        '# TYPE images counter',
        'images 5',
        '',
      ].join('\n'),
    );
  });
});
