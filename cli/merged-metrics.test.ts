import { describe, expect, it } from 'vitest';
import { mergePages } from './merged-metrics.ts';

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
