import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openEventLog } from '../../actors/control/event-log.ts';
import { silentLog } from '../../common/log.ts';
import { parseRunConfig, type RunConfig } from '../../config/run-config.ts';
import type { EpochRecord, RunEvent, RunReport } from '../../report/records.ts';
import type { ActorEngine } from '../../report/engines.ts';
import { createRunEvents } from '../records/run-events.ts';
import { RunFolder } from '../records/run-folder.ts';
import { runLoop, type RunOutcome } from './run-loop.ts';
import { CoordinatorMetrics, RunMetrics } from './run-metrics.ts';
import { fakeCrew, turn, userMistake, type FakeCrew } from '../crew/testing/fake-crew.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ballast-run-loop-'));
});
afterEach(() => rm(dir, { recursive: true }));

const CONFIG = parseRunConfig({
  data: { source: 'somewhere' },
  method: 'iois',
  prior: 'prior.safetensors',
  training: { epochs: 3 },
  synthesis: { budget: 12, shardSize: 3 },
});

interface Started {
  readonly events: RunEvent[];
  readonly registry: Registry;
  readonly outcome: Promise<RunOutcome>;
}

function start(
  crew: FakeCrew,
  folder = dir,
  config: RunConfig = CONFIG,
  signal = new AbortController().signal,
  renderReport = (at: string) => writeFile(join(at, 'report.html'), 'html'),
): Started {
  const events: RunEvent[] = [];
  const registry = new Registry();
  let now = 0;
  const go = async () => {
    const bus = await openEventLog({ path: join(folder, 'events.jsonl') });
    try {
      return await runLoop({
        config,
        folder: new RunFolder(folder),
        crew,
        events: createRunEvents(bus, (event) => events.push(event), silentLog),
        metrics: new RunMetrics(new CoordinatorMetrics(registry), 'r'),
        clock: () => (now += 1000),
        signal,
        environment: { node: 'v0' },
        renderReport,
        autopsyMs: 50,
      });
    } finally {
      await bus.close();
    }
  };
  return { events, registry, outcome: go() };
}

async function finished(crew: FakeCrew, folder = dir, config = CONFIG): Promise<RunReport> {
  const outcome = await start(crew, folder, config).outcome;
  if (outcome.status !== 'finished') throw new Error('was cancelled');
  return outcome.report;
}

/** Results that must not depend on the course of the run. */
const essence = (report: RunReport) => ({
  digest: report.weightsDigest,
  quotas: report.epochs.map((record) => record.quota),
  accuracy: report.epochs.map((record) => record.samplingAccuracy),
  steps: report.optimizerSteps,
  test: report.test,
});

async function lines<T>(name: string): Promise<T[]> {
  const text = await readFile(join(dir, name), 'utf8');
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as T);
}

interface Start {
  readonly facts: Record<string, string>;
  readonly engines: readonly ActorEngine[];
}

async function starts(): Promise<readonly Start[]> {
  return (JSON.parse(await readFile(join(dir, 'environment.json'), 'utf8')) as { starts: Start[] }).starts;
}

const engine = (actor: string) => ({ actor, engine: 'fake', choice: 'the only one' });

describe('a run', () => {
  it('is finished, with its report, where drawing fails', async () => {
    const failing = () => Promise.reject(new Error('too many elements\nand more'));
    const { outcome } = start(fakeCrew(2), dir, CONFIG, undefined, failing);
    const { status, report } = (await outcome) as Extract<RunOutcome, { status: 'finished' }>;
    expect(status).toBe('finished');
    expect(report.drawingWarning).toBe(
      `report.html or its pictures could not be drawn (too many elements); try: ballast report ${dir}`,
    );
    expect(report.epochs).toHaveLength(3);
  });

  it('does every epoch and leaves a folder that explains itself', async () => {
    const crew = fakeCrew(2);
    const { events, registry, outcome } = start(crew);
    expect((await outcome).status).toBe('finished');
    expect(crew.journal).toEqual([
      'open 0',
      'train 1',
      'evaluate SPLIT_VALIDATION',
      'evaluate SPLIT_TRAIN',
      'train 2',
      'evaluate SPLIT_VALIDATION',
      'evaluate SPLIT_TRAIN',
      'train 3',
      'evaluate SPLIT_VALIDATION',
      'evaluate SPLIT_TEST', // once
    ]);
    const records = await lines<EpochRecord>('metrics.jsonl');
    expect(records.map((record) => record.quota!.reduce((sum, n) => sum + n, 0))).toEqual([12, 12, 12]);
    expect(records[0]).toMatchObject({
      epoch: 1,
      quota: [4, 4, 4],
      samplingAccuracy: null,
      syntheticImages: 12,
    });
    expect(records.map((record) => record.weightsVersion)).toEqual([0, 4, 8]);
    expect(records[2]!.optimizerSteps).toBe(12);
    expect(records[1]!.grid).toBe('grids/epoch-002.png');
    expect(records[1]!.toldApart).toEqual([0.5, 0.95, null]);
    const { imageWarnings } = JSON.parse(await readFile(join(dir, 'report.json'), 'utf8')) as RunReport;
    expect(imageWarnings).toEqual([expect.stringMatching(/distinguishes synthetic images .*: bag \(95%\);/)]);
    for (const name of [
      'config.json',
      'report.json',
      'report.html',
      'environment.json',
      'grids/epoch-003.png',
    ])
      expect(existsSync(join(dir, name)), name).toBe(true);
    const checkpoints = (await readdir(join(dir, 'checkpoints'))).sort();
    expect(checkpoints.map((name) => name.replace(/\.[0-9a-f]{8}-/, '.TOKEN-'))).toEqual([
      'epoch-001.json',
      'epoch-002.TOKEN-2', // the latest two are kept
      'epoch-002.json',
      'epoch-003.TOKEN-3',
      'epoch-003.json',
      'holder.json',
    ]);
    expect(await starts()).toMatchObject([
      {
        facts: { node: 'v0', engine: 'fake' },
        engines: [engine('classifier-trainer'), engine('w0'), engine('w1')],
      },
    ]);
    const topics = (await lines<{ topic: string }>('events.jsonl')).map(({ topic }) => topic);
    expect(topics.filter((topic) => topic === 'shard.made')).toHaveLength(12);
    expect(topics.filter((topic) => topic === 'weights.published')).toHaveLength(3);
    expect(topics.at(-1)).toBe('run.finished');
    expect(events[0]).toEqual({ type: 'preparation', activity: 'decoding', done: 3, total: 7, seconds: 2 });
    expect(events[1]).toMatchObject({ type: 'started', classCounts: [6, 3, 1], firstEpoch: 1 });
    expect(events.filter(({ type }) => type === 'synthesis').at(-1)).toMatchObject({ done: 12, total: 12 });
    const metrics = await registry.metrics();
    expect(metrics).toContain('ballast_images_total{run="r"} 36');
    expect(metrics).toContain('ballast_shards{run="r",state="committed"} 4');
    expect(metrics).toContain('ballast_epoch{run="r"} 3');
    expect(crew.released).toHaveLength(12 + 3); // every batch, and each epoch's weights
  });

  it('ends the same with any number of workers', async () => {
    const one = await finished(fakeCrew(1), join(dir, 'one'));
    const five = await finished(fakeCrew(5), join(dir, 'five'));
    expect(essence(five)).toEqual(essence(one));
  });

  it('measures fresh variants of training images where quotas follow them, and never trains on them', async () => {
    const crew = fakeCrew(2);
    const config = {
      ...CONFIG,
      adaptiveSampling: { ...CONFIG.adaptiveSampling, measure: 'variants', variants: 2 },
    } as const;
    const report = await finished(crew, dir, config);
    const journal = crew.journal.filter((entry) => !entry.startsWith('evaluate SPLIT_VALIDATION'));
    // two of each of three classes in shards of three, before the second and the third epoch's images
    expect([...journal.slice(2, 4)].sort()).toEqual(['variants 2.0', 'variants 2.1']);
    expect(journal[4]).toBe('evaluate SPLIT_VARIANTS');
    expect(journal).not.toContain('evaluate SPLIT_TRAIN');
    expect(report.epochs.map(({ syntheticImages }) => syntheticImages)).toEqual([12, 12, 12]);
    expect(essence(report)).toEqual(essence(await finished(fakeCrew(1), join(dir, 'one'), config)));
  });

  it('replays real images by the quotas that made ones would have', async () => {
    const crew = fakeCrew(0);
    const input = {
      data: { source: 'x' },
      method: 'replay',
      synthesis: { budget: 7 },
      training: { epochs: 2 },
    };
    const report = await finished(crew, dir, parseRunConfig(input));
    const [first, second] = report.epochs.map(({ quota }) => quota!);
    expect(first).toEqual([3, 2, 2]); // accuracy is not measured yet: equal shares
    expect(second!.reduce((sum, count) => sum + count)).toBe(7);
    expect(report).toMatchObject({ syntheticImages: 0, workers: 0 });
    expect(crew.journal).toContain('replay 3,2,2');
    expect(crew.journal).toContain(`replay ${second!.join()}`);
    expect(crew.journal).toContain('evaluate SPLIT_TRAIN');
  });

  it('needs no workers for methods that make no images', async () => {
    const crew = fakeCrew(0);
    const erm = parseRunConfig({ data: { source: 'x' }, method: 'erm', training: { epochs: 1 } });
    const report = await finished(crew, dir, erm);
    expect(report).toMatchObject({ syntheticImages: 0, workers: 0, optimizerSteps: 4 });
    expect(report.epochs[0]).toMatchObject({ quota: null, grid: null, fidelity: null });
    expect(crew.journal).not.toContain('evaluate SPLIT_TRAIN');
  });

  it('reports the judge’s fidelity, in all and over tail classes', async () => {
    const report = await finished(fakeCrew(1), dir, { ...CONFIG, judge: 'judge.safetensors' });
    // 4 of 4, 1 of 2, 0 of 2; every class has fewer than 200 images
    expect(report.epochs[0]!.fidelity).toEqual({ all: 0.625, tail: 0.625, perClass: [1, 0.5, 0] });
  });
});

describe('when processes die', () => {
  it('makes a dead worker’s shards elsewhere, to the same end', async () => {
    const calm = await finished(fakeCrew(2), join(dir, 'calm'));
    const crew = fakeCrew(2);
    let shards = 0;
    const [victim] = crew.ownWorkers;
    victim!.beforeCall = async () => {
      if (++shards % 3 === 2) await victim!.kill();
    };
    const report = await finished(crew, join(dir, 'stormy'));
    expect(essence(report)).toEqual(essence(calm));
    expect(report.epochs.some((record) => record.shardsRedone > 0)).toBe(true);
    // As where `auto` chooses another device after a restart.
    expect(report.environment['actors']).toBe('fake: classifier-trainer, w0, w1; fake, restarted: w0');
  });

  it('makes images again that were lost before the trainer pulled them', async () => {
    const calm = await finished(fakeCrew(2), join(dir, 'calm'));
    const crew = fakeCrew(2);
    let adds = 0;
    crew.trainer.beforeCall = async (method) => {
      if (method === 'addShard' && ++adds === 2) for (const worker of crew.ownWorkers) await worker.kill();
    };
    const report = await finished(crew, join(dir, 'stormy'));
    expect(essence(report)).toEqual(essence(calm));
    expect(report.epochs[0]!.shardsRedone).toBeGreaterThan(0);
  });

  it.each([
    'open',
    'evaluate',
    'publishWeights',
    'addShard',
    'trainEpoch',
    'renderGrid',
    'saveCheckpoint',
    'exportModel',
  ])('begins the epoch again at its checkpoint when the trainer dies in %s', async (victim) => {
    const calm = await finished(fakeCrew(2), join(dir, 'calm'));
    const crew = fakeCrew(2);
    let calls = 0;
    crew.trainer.beforeCall = async (method) => {
      if (method === victim && ++calls === (victim === 'open' || victim === 'exportModel' ? 1 : 2))
        await crew.trainer.kill();
    };
    const { events, outcome } = start(crew, join(dir, 'stormy'));
    const result = await outcome;
    if (result.status !== 'finished') throw new Error('was cancelled');
    expect(essence(result.report)).toEqual(essence(calm));
    expect(crew.journal.filter((entry) => entry.startsWith('open')).length).toBeGreaterThanOrEqual(
      victim === 'open' ? 1 : 2,
    );
    expect(events.filter(({ type }) => type === 'started')).toHaveLength(1);
    expect(events).toContainEqual(
      expect.objectContaining({ type: 'actor', actor: 'classifier-trainer', state: 'restarting' }),
    );
  });

  it('gives up on a trainer that dies in the same epoch again and again', async () => {
    const crew = fakeCrew(1);
    crew.trainer.beforeCall = async (method) => {
      if (method === 'trainEpoch') await crew.trainer.kill();
    };
    await expect(start(crew).outcome).rejects.toThrow('the trainer died 6 times in epoch 1');
  });

  it('says why when an actor is dead for good', async () => {
    const noWorkers = fakeCrew(1);
    noWorkers.ownWorkers[0]!.beforeCall = () => noWorkers.ownWorkers[0]!.kill(false);
    await expect(start(noWorkers, join(dir, 'a')).outcome).rejects.toThrow(
      'no diffusion worker is left (w0: its process was ended by SIGKILL)',
    );
    const noTrainer = fakeCrew(1);
    noTrainer.trainer.beforeCall = () => noTrainer.trainer.kill(false);
    await expect(start(noTrainer, join(dir, 'b')).outcome).rejects.toThrow(
      'classifier-trainer is dead: its process was ended by SIGKILL',
    );
  });
});

describe('when two coordinators work in one folder', () => {
  let stale: Promise<RunOutcome>;

  /** The first stops in `method` of epoch 2 until the second has finished the run. */
  it.each(['evaluate', 'trainEpoch', 'saveCheckpoint', 'renderGrid'])(
    'the one that slept in %s changes nothing when it wakes',
    async (method) => {
      const calm = await finished(fakeCrew(2), join(dir, 'calm'));
      const shared = join(dir, 'shared');
      let wake = () => {};
      let calls = 0;
      const asleep = new Promise<void>((fellAsleep) => {
        const sleeper = fakeCrew(2);
        sleeper.trainer.beforeCall = async (called) => {
          if (called !== method || ++calls !== 2) return;
          const woken = new Promise<void>((resolve) => (wake = resolve));
          fellAsleep();
          await woken;
        };
        stale = start(sleeper, shared).outcome;
        stale.catch(() => undefined);
      });
      await asleep;
      const report = await finished(fakeCrew(2), shared);
      expect(essence(report)).toEqual(essence(calm));
      const before = await contentsOf(shared);
      wake();
      await expect(stale).rejects.toThrow('another coordinator has taken this run over');
      expect(await contentsOf(shared)).toEqual(before);
    },
  );
  /** All files but the events, which tell of everybody. */
  async function contentsOf(folder: string): Promise<Record<string, string>> {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile() && entry.name !== 'events.jsonl');
    const paths = files.map(({ parentPath, name }) => join(parentPath, name)).sort();
    return Object.fromEntries(
      await Promise.all(paths.map(async (path) => [path, await readFile(path, 'utf8')] as const)),
    );
  }
});

describe('when a service refuses', () => {
  it('ends at once with the user’s mistake', async () => {
    const crew = fakeCrew(2);
    crew.ownWorkers[1]!.beforeCall = () => userMistake('the prior makes 28 px images, the data has 64 px');
    await expect(start(crew).outcome).rejects.toThrow('the prior makes 28 px images');
    expect(crew.ownWorkers[1]!.calls.length).toBeLessThanOrEqual(2);
  });

  it('passes a defect of the trainer on', async () => {
    const crew = fakeCrew(1);
    crew.trainer.beforeCall = (method) => {
      if (method === 'trainEpoch') throw new Error('NaN loss');
    };
    await expect(start(crew).outcome).rejects.toThrow('NaN loss');
  });
});

describe('cancelling and resuming', () => {
  /** Cancels at the nth call of a trainer method. */
  async function cancelAt(method: string, nth: number): Promise<RunOutcome> {
    const crew = fakeCrew(2);
    const abort = new AbortController();
    let calls = 0;
    crew.trainer.beforeCall = async (called) => {
      if (called !== method || ++calls !== nth) return;
      abort.abort(new Error('Ctrl-C'));
      await turn();
    };
    return start(crew, dir, CONFIG, abort.signal).outcome;
  }

  it.each([
    ['open', 1, 0],
    ['addShard', 3, 0],
    ['trainEpoch', 2, 1],
    ['saveCheckpoint', 3, 2],
    ['exportModel', 1, 3],
  ])('stops in %s (%i) after %i epochs, and a resumed run ends the same', async (method, nth, epochs) => {
    const calm = await finished(fakeCrew(2), join(dir, 'calm'));
    expect(await cancelAt(method, nth)).toEqual({ status: 'cancelled', epoch: epochs });
    expect(existsSync(join(dir, 'report.json'))).toBe(false);
    const report = await finished(fakeCrew(3));
    expect(essence(report)).toEqual(essence(calm));
    expect((await lines<EpochRecord>('metrics.jsonl')).map(({ epoch }) => epoch)).toEqual([1, 2, 3]);
    expect((await starts()).length).toBeGreaterThanOrEqual(1);
  });

  it('names what every actor of each start computed on, in the report too', async () => {
    await cancelAt('trainEpoch', 2);
    const { environment } = await finished(fakeCrew(3));
    const computed = (await starts()).map(({ engines }) => engines);
    expect(computed).toEqual([
      [engine('classifier-trainer'), engine('w0'), engine('w1')],
      [engine('classifier-trainer'), engine('w0'), engine('w1'), engine('w2')],
    ]);
    expect(environment).toMatchObject({ engine: 'fake', actors: 'fake: classifier-trainer, w0, w1, w2' });
  });

  it('mends metrics.jsonl from the checkpoint', async () => {
    await cancelAt('trainEpoch', 3);
    await writeFile(join(dir, 'metrics.jsonl'), '{"epoch":1}\n{"epo');
    await finished(fakeCrew(1));
    expect((await lines<EpochRecord>('metrics.jsonl')).map(({ epoch }) => epoch)).toEqual([1, 2, 3]);
  });

  it('leaves no run behind when configuration or data are refused at the start', async () => {
    const crew = fakeCrew(1);
    crew.trainer.beforeCall = () => userMistake('no such folder');
    await expect(start(crew).outcome).rejects.toThrow('no such folder');
    expect(await new RunFolder(dir).holdsRun()).toBe(false);
  });

  it('refuses other training data', async () => {
    await cancelAt('trainEpoch', 2);
    const changed = { ...CONFIG, data: { ...CONFIG.data, source: 'elsewhere' } };
    await expect(start(fakeCrew(1), dir, changed).outcome).rejects.toThrow(
      'elsewhere: the training images are not those',
    );
  });
});
