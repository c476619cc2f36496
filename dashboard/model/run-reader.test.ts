import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fakeEpochs } from '../../report/testing/fake-records.ts';
import { GrowingLines } from './lines.ts';
import { readMistakes } from './mistakes.ts';
import { RunFolders } from './run-list.ts';
import { emptyHistory, historyLimit, thinHistory } from './run-model.ts';
import { RunReader } from './run-reader.ts';

let dir = '';
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ballast-model-'));
});
afterEach(() => rm(dir, { recursive: true }));

const lines = (values: readonly unknown[]) => values.map((value) => `${JSON.stringify(value)}\n`).join('');

describe('growing lines', () => {
  it('are each read once, whole and undamaged ones alone', async () => {
    const path = join(dir, 'a.jsonl');
    const growing = new GrowingLines(path);
    expect((await growing.read()).values).toEqual([]);
    await writeFile(path, '1\n2\n{"half');
    expect((await growing.read()).values).toEqual([1, 2]);
    await appendFile(path, '":3}\nnot json\n4\n');
    expect(await growing.read()).toEqual({ isReset: false, values: [{ half: 3 }, 4] });
    expect(growing.damaged).toBe(1);
    expect((await growing.read()).values).toEqual([]);
  });

  it('go on in a file that was replaced by a longer one, and begin again in another', async () => {
    const path = join(dir, 'a.jsonl');
    const growing = new GrowingLines(path);
    await writeFile(path, '1\n2\n');
    await growing.read();
    await writeFile(path, '1\n2\n3\n');
    expect(await growing.read()).toEqual({ isReset: false, values: [3] });
    await writeFile(path, '1\n9\n3\n4\n');
    expect(await growing.read()).toEqual({ isReset: true, values: [1, 9, 3, 4] });
    await writeFile(path, '1\n');
    expect(await growing.read()).toEqual({ isReset: true, values: [1] });
  });
});

describe('a run', () => {
  it('is sent whole, then only the news, then nothing', async () => {
    const epochs = fakeEpochs({ epochs: 3 });
    await writeFile(join(dir, 'config.json'), '{"method":"iois","seed":4,"training":{"epochs":9}}');
    await writeFile(join(dir, 'metrics.jsonl'), lines(epochs.slice(0, 2)));
    const event = (sequence: number) => ({
      sequence,
      time: '2026-01-01T00:00:10.000Z',
      topic: 'shard.made',
      payload: { worker: 'w', seconds: 4, images: 8, epoch: 1, shard: 0 },
    });
    await writeFile(join(dir, 'events.jsonl'), lines([event(1)]));
    const reader = new RunReader(dir, 'a');
    const starts = [{ facts: { node: 'v20' }, engines: [{ actor: 'w', engine: 'webgpu on A', choice: '' }] }];
    await writeFile(join(dir, 'environment.json'), JSON.stringify({ starts }));
    const cursor = reader.newCursor();
    await reader.refresh();
    const whole = reader.update(cursor)!;
    expect(whole.isWhole).toBe(true);
    expect(whole.facts?.environment).toEqual({ node: 'v20', actors: 'webgpu on A: w' });
    expect(whole.facts).toMatchObject({ method: 'iois', seed: 4, plannedEpochs: 9, state: 'stopped' });
    expect(whole.epochs.epoch).toEqual([1, 2]);
    expect(whole.spans[0]).toMatchObject({
      lane: 'w',
      toMs: Date.parse('2026-01-01T00:00:10Z'),
      fromMs: Date.parse('2026-01-01T00:00:06Z'),
    });
    expect(reader.update(cursor)).toBeNull();
    await writeFile(join(dir, 'metrics.jsonl'), lines(epochs));
    await appendFile(join(dir, 'events.jsonl'), lines([event(2)]));
    await reader.refresh();
    const more = reader.update(cursor)!;
    expect([more.isWhole, more.epochs.epoch, more.events.map(({ sequence }) => sequence)]).toEqual([
      false,
      [3],
      [2],
    ]);
    expect(more.history.recall).toHaveLength(1);
  });

  it('of ten thousand epochs stays small, and keeps its last epoch', () => {
    const history = emptyHistory();
    for (let epoch = 1; epoch <= 10_000; epoch++) {
      history.epoch.push(epoch);
      history.recall.push([0.5]);
      history.quota.push(null);
      history.accuracy.push(null);
    }
    thinHistory(history, historyLimit(10));
    expect(history.epoch.length).toBeLessThanOrEqual(1000);
    expect(history.epoch.at(-1)).toBe(10_000);
    expect(history.recall).toHaveLength(history.epoch.length);
    expect(historyLimit(1000)).toBe(120);
  });

  it('is found in a folder of runs, and nothing outside of it', async () => {
    const folders = new RunFolders(dir);
    await writeFile(join(dir, 'config.json'), '{"method":"erm"}');
    await writeFile(join(dir, 'metrics.jsonl'), lines(fakeEpochs({ epochs: 1 })));
    const { runs } = await folders.list();
    expect(runs).toMatchObject([{ id: '.', method: 'erm', epoch: 1, split: 'validation' }]);
    for (const id of ['..', '/etc', '../..', 'a\0b', 'none', 'x'.repeat(5000)])
      await expect(folders.dirOf(id)).rejects.toThrow('no run');
  });
});

describe('mistakes', () => {
  it('are the wrong ones, the surest first, counted by the true class', async () => {
    const rows = [
      'image,label,cat,"d,og"',
      'a.png,cat,0.9,0.1',
      'b.png,cat,0.4,0.6',
      '"c,1.png","d,og",0.99,0.01',
      'd.png,1,0.7,0.3',
    ];
    await writeFile(join(dir, 'predictions-test.csv'), `${rows.join('\n')}\n`);
    const all = await readMistakes(dir, 'test', new URLSearchParams());
    expect([all.images, all.mistakes]).toEqual([4, 3]);
    expect(all.worst.map(({ image, label, predicted }) => [image, label, predicted])).toEqual([
      ['c,1.png', 'd,og', 'cat'],
      ['d.png', 'd,og', 'cat'],
      ['b.png', 'cat', 'd,og'],
    ]);
    expect((await readMistakes(dir, 'test', new URLSearchParams({ label: 'cat' }))).worst).toHaveLength(1);
    await expect(readMistakes(dir, 'validation', new URLSearchParams())).rejects.toThrow(
      'keeps no predictions of validation',
    );
    await expect(readMistakes(dir, '../x', new URLSearchParams())).rejects.toThrow('no split');
  });
});
