import { describe, expect, it } from 'vitest';
import {
  counted,
  formatAge,
  formatBytes,
  formatFree,
  formatLabels,
  formatResources,
  indented,
} from './table.ts';
import { renderTable } from './table.ts';

interface Row {
  readonly name: string;
  readonly count: number;
  readonly note: string;
}

const COLUMNS = [
  { title: 'NAME', text: ({ name }: Row) => name },
  { title: 'NONE', text: () => '' },
  { title: 'COUNT', text: ({ count }: Row) => String(count), alignsRight: true },
  { title: 'END', text: () => 'x' },
];

describe('renderTable', () => {
  it('aligns, leaves out what is empty, and puts notes below', () => {
    const rows = [
      { name: 'a', count: 5, note: '' },
      { name: 'longer', count: 123_456, note: 'because' },
    ];
    expect(renderTable(COLUMNS, rows, ({ note }) => note)).toBe(
      ['NAME     COUNT  END', 'a            5  x', 'longer  123456  x', '  because', ''].join('\n'),
    );
  });

  it('of nothing is its head', () => {
    expect(renderTable(COLUMNS, [])).toBe('NAME  NONE  COUNT  END\n');
  });
});

it('wraps what is indented at 100 columns', () => {
  const lines = indented(Array.from({ length: 30 }, () => 'waiting').join(' '));
  expect(lines.map((line) => line.length)).toEqual([97, 97, 49]);
  expect(lines.every((line) => line.startsWith('  waiting'))).toBe(true);
  expect(indented('')).toEqual([]);
});

it.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1 KiB'],
  [1_500_000, '1.4 MiB'],
  [25_276_063_744, '23.5 GiB'],
])('%d bytes are %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

it.each([
  [43, '43 s'],
  [150, '2 min'],
  [12_600, '3.5 h'],
  [700_000, '8 d'],
])('%d seconds are %s', (seconds, text) => {
  const nowMs = Date.parse('2026-01-02T03:04:05Z');
  expect(formatAge(new Date(nowMs - seconds * 1000).toISOString(), nowMs)).toBe(text);
});

it('says what is free of what', () => {
  const total = { licence: 3, memoryBytes: 8 * 1024 ** 3, gpu: 2, cpu: 4 };
  const free = { licence: 3, memoryBytes: 6.5 * 1024 ** 3, gpu: 1.5, cpu: 0 };
  expect(formatFree(free, total)).toBe('cpu 0/4, gpu 1.5/2, memory 6.5/8 GiB, licence 3/3');
  expect(formatFree({ memoryBytes: 512 * 1024 ** 2 }, { memoryBytes: 1024 ** 3 })).toBe(
    'memory 512 MiB/1 GiB',
  );
  expect(formatResources({ memoryBytes: 1000, cpu: 0.1 + 0.2 })).toBe('cpu 0.3, memory 1000 B');
  expect(formatLabels({ zone: 'a', disk: 'ssd' })).toBe('zone=a,disk=ssd');
  expect([counted(1, 'node'), counted(0, 'node')]).toEqual(['1 node', '0 nodes']);
});
