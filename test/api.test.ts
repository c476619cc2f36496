// The public API of a real coordinator, with real runs.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CallError } from '../actors/base/call-errors.ts';
import { eventually } from '../common/testing/eventually.ts';
import { fromTimestamp } from '../coordinator/api/struct.ts';
import type { RunEvent__Output } from '../gen/ballast/v1/RunEvent.ts';
import { decodeSafetensors, encodeSafetensors } from '../tensor/safetensors.ts';
import { actorsOf } from './support/processes.ts';
import {
  ended,
  eventsOf,
  startCoordinator,
  type TestCoordinator,
  tinyConfig,
  whenEvent,
} from './support/coordinator.ts';
import {
  BUDGET,
  EPOCHS,
  newFolder,
  readMetrics,
  readReport,
  referenceRun,
  shapesData,
  shapesJudge,
} from './support/suite.ts';

/** From the first event that says so to the first that ends it. */
function runningSpan(events: readonly RunEvent__Output[]): { readonly from: number; readonly to: number } {
  const timeOf = (states: readonly string[]) => {
    const event = events.find(({ stateChanged }) => states.includes(stateChanged?.state ?? ''));
    return Date.parse(fromTimestamp(event!.time)!);
  };
  return { from: timeOf(['STATE_RUNNING']), to: timeOf(['STATE_SUCCEEDED']) };
}

/** Resolves when the condition holds. */
async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  for (let i = 0; !(await condition()); i++) {
    if (i > 600) throw new Error(`it did not come to ${what}`);
    await sleep(100);
  }
}

const failureOf = async (call: Promise<unknown>) => {
  const thrown: unknown = await call.then(
    () => new Error('it did not fail'),
    (error: unknown) => error,
  );
  return thrown instanceof CallError ? `${thrown.code}: ${thrown.message}` : String(thrown);
};

describe('a coordinator', () => {
  let server: TestCoordinator;
  let reference: Awaited<ReturnType<typeof referenceRun>>;
  beforeAll(async () => {
    reference = await referenceRun();
    server = await startCoordinator(newFolder('api'), ['--max-runs', '2']);
  });
  afterAll(async () => {
    server.close();
    server.cli.signal('SIGTERM');
    expect((await server.cli.ended).code).toBe(0);
    expect(actorsOf(server.dir)).toEqual([]);
  });

  it('ends a run with the weights of `ballast run`, and answers for all that it left', async () => {
    const { api, runsDir } = server;
    const created = await api.createRun({
      runId: 'first',
      config: await tinyConfig(),
      labels: { team: 'vision' },
    });
    expect(created).toMatchObject({
      name: 'runs/first',
      epochs: EPOCHS,
      weight: 1,
      labels: { team: 'vision' },
    });
    const events = await eventsOf(api, 'runs/first');
    const run = await api.getRun({ name: 'runs/first' });
    expect(run).toMatchObject({
      state: 'STATE_SUCCEEDED',
      epoch: EPOCHS,
      classes: ['cross', 'disc', 'square'],
    });
    expect(run.config?.fields['prior']?.stringValue).toBe('prior.safetensors'); // not its path on the server
    expect(run.weightsDigest).toBe(readReport(reference.dir).weightsDigest);
    expect(readMetrics(join(runsDir, 'first'))).toEqual(readMetrics(reference.dir));
    expect(run.test?.balancedAccuracy).toBe(readReport(reference.dir).test!.balancedAccuracy);

    const kinds = events.map(({ event }) => event);
    expect(kinds.filter((kind) => kind === 'epochFinished')).toHaveLength(EPOCHS);
    expect(kinds.at(-1)).toBe('stateChanged');
    const sequences = events.map(({ sequence }) => sequence);
    expect(sequences).toEqual([...new Set(sequences)].sort((a, b) => a - b));
    const [middle] = sequences.slice(4);
    expect(await eventsOf(api, 'runs/first', middle)).toEqual(events.slice(4));
    expect(await eventsOf(api, 'runs/first', 0)).toEqual([]);

    const epoch = await api.getEpoch({ name: `runs/first/epochs/${EPOCHS}` });
    expect(epoch.quota.reduce((sum, n) => sum + n, 0)).toBe(BUDGET);
    expect(epoch.validation?.confusion).toHaveLength(3);
  });

  it('streams the model, from any byte on', async () => {
    const fileOf = (name: string) => readFileSync(join(server.runsDir, 'first', 'model', name));
    const file = fileOf('model.safetensors');
    const onnx: Buffer[] = [];
    for await (const { data } of server.api.getModel({ name: 'runs/first', format: 'FORMAT_ONNX' }))
      onnx.push(data);
    expect(Buffer.concat(onnx)).toEqual(fileOf('model.onnx'));
    const read = async (offset: number) => {
      const parts: Buffer[] = [];
      for await (const chunk of server.api.getModel({ name: 'runs/first', offset })) {
        expect(chunk).toMatchObject({ sizeBytes: file.length, offset: offset + Buffer.concat(parts).length });
        expect(chunk.sha256).toBe(createHash('sha256').update(file).digest('hex'));
        parts.push(chunk.data);
      }
      return Buffer.concat(parts);
    };
    expect(await read(0)).toEqual(file);
    expect(await read(1000)).toEqual(file.subarray(1000));
    expect(await failureOf(read(file.length + 1))).toContain('offset');
  });

  it('shows the images that were kept, by class and epoch', async () => {
    const { api } = server;
    const names: string[] = [];
    for (let pageToken = ''; ;) {
      const page = await api.listImages({ parent: 'runs/first/epochs/-', pageSize: 7, pageToken });
      names.push(...page.images.map(({ name }) => name));
      if ((pageToken = page.nextPageToken) === '') break;
    }
    expect(new Set(names).size).toBe(names.length);
    const squares = await api.listImages({ parent: 'runs/first/epochs/2', className: 'square' });
    expect(squares.images.length).toBeGreaterThan(2);
    for await (const { png, width, className } of api.getImages({
      names: squares.images.map(({ name }) => name),
    })) {
      expect(await sharp(png).metadata()).toMatchObject({ format: 'png', width, height: 16 });
      expect(className).toBe('square');
    }
    expect(await failureOf(api.listImages({ parent: 'runs/first/epochs/1', className: 'cat' }))).toContain(
      'the run has cross, disc, square',
    );
  });

  it('makes images on demand: equal for equal requests, different ones for another seed, and stops on request', async () => {
    const { api } = server;
    const make = async (seed: number, count = 8) => {
      const request = { run: 'runs/first', className: 'disc', count, seed };
      const images: string[] = [];
      for await (const { png, className } of api.synthesize(request, { deadlineMs: 120_000 })) {
        expect(className).toBe('disc');
        images.push(png.toString('base64'));
      }
      return images;
    };
    const [first, again, other] = [await make(1), await make(1), await make(2)];
    expect(first).toHaveLength(8);
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);

    const stop = new AbortController();
    const request = { run: 'runs/first', className: 'disc', count: 10_000, seed: 3 };
    let seen = 0;
    const stopped = (async () => {
      for await (const { png } of api.synthesize(request, { deadlineMs: Infinity, signal: stop.signal })) {
        expect(png.length).toBeGreaterThan(50);
        if (++seen === 12) stop.abort(new Error('enough'));
      }
    })();
    await expect(stopped).rejects.toThrow('enough');
    expect(await make(4)).toHaveLength(8); // the workers are free again
  });

  it('keeps the trainer of images on demand for the next call, until a run begins', async () => {
    const { api } = server;
    const request = { run: 'runs/first', className: 'disc', count: 1, seed: 1 };
    const make = () => api.synthesize(request, { deadlineMs: 120_000 })[Symbol.asyncIterator]().next();
    const onDemand = async () =>
      (await api.listActors({})).actors
        .filter(({ name, state }) => name.startsWith('actors/first-at-') && state === 'alive')
        .map(({ createTime }) => createTime);
    await make();
    const kept = await onDemand();
    expect(kept).toHaveLength(1);
    await make();
    expect(await onDemand()).toEqual(kept);
    const config = await tinyConfig({ method: 'erm', prior: null });
    const { name } = await api.createRun({ runId: 'needs-room', config });
    await whenEvent(api, name, ({ epochFinished }) => epochFinished != null);
    await eventually(async () => expect(await onDemand()).toEqual([])); // before its two minutes are over
    expect((await ended(api, name)).state).toBe('STATE_SUCCEEDED');
    await make();
    expect(await onDemand()).toHaveLength(1);
  });

  it('makes no second run of one request', async () => {
    const { api } = server;
    const request = { config: await tinyConfig({ method: 'erm', prior: null }), requestId: 'wish-1' };
    const [one, two] = [await api.createRun(request), await api.createRun(request)];
    expect(two.name).toBe(one.name);
    expect(await failureOf(api.createRun({ ...request, weight: 2 }))).toBe(
      `ALREADY_EXISTS: request_id 'wish-1' made ${one.name}, which is another run than this one`,
    );
    expect(await failureOf(api.createRun({ ...request, requestId: '', runId: 'first' }))).toContain(
      'ALREADY_EXISTS',
    );
    expect((await ended(api, one.name)).state).toBe('STATE_SUCCEEDED');
  });

  it('cancels and resumes: the weights are those of a run that was never stopped', async () => {
    const { api } = server;
    await api.createRun({ runId: 'stopped', config: await tinyConfig() });
    await whenEvent(api, 'runs/stopped', ({ synthesisProgress }) => synthesisProgress?.epoch === 2);
    const cancelled = await api.cancelRun({ name: 'runs/stopped' });
    expect(cancelled).toMatchObject({
      state: 'STATE_CANCELLED',
      epoch: 1,
      reason: 'cancelled after epoch 1',
    });
    expect(await api.cancelRun({ name: 'runs/stopped' })).toEqual(cancelled);
    expect(await failureOf(api.getModel({ name: 'runs/stopped' })[Symbol.asyncIterator]().next())).toBe(
      'FAILED_PRECONDITION: runs/stopped has no model: it is cancelled',
    );
    await api.resumeRun({ name: 'runs/stopped' });
    const run = await ended(api, 'runs/stopped');
    expect(run.state).toBe('STATE_SUCCEEDED');
    expect(run.weightsDigest).toBe(readReport(reference.dir).weightsDigest);
  });

  it('does two runs at once on the same workers, the third one waits', async () => {
    const { api } = server;
    const config = await tinyConfig();
    const names = await Promise.all(
      ['a', 'b', 'c'].map(async (id) => (await api.createRun({ runId: `crowd-${id}`, config })).name),
    );
    const inState = async (state: string) => (await api.listRuns({ filter: `state = ${state}` })).runs;
    await until(async () => (await inState('RUNNING')).length === 2, 'two runs at once');
    const [queued] = (await inState('QUEUED')).map(({ name }) => name);
    expect(names).toContain(queued);
    const wish = { run: queued!, className: 'disc', count: 1, seed: 1 };
    const tooEarly = () => api.synthesize(wish)[Symbol.asyncIterator]().next();
    for (let calls = 0; calls < 5; calls++)
      // more than may go on at once: one that is refused leaves nothing behind
      expect(await failureOf(tooEarly())).toContain('has no complete epoch yet');
    const cpus = (await api.listNodes({})).nodes[0]!.total['cpu']!;
    await until(async () => {
      const { actors } = await api.listActors({});
      return (
        actors.filter(({ type, state }) => type === 'diffusion-worker' && state === 'alive').length === cpus
      );
    }, 'a worker for each processor');
    for (const name of names) {
      const run = await ended(api, name);
      expect([run.state, run.weightsDigest]).toEqual([
        'STATE_SUCCEEDED',
        readReport(reference.dir).weightsDigest,
      ]);
    }
    // When each went on, by its stored events: two did at some time, and never three.
    const spans = await Promise.all(names.map(async (name) => runningSpan(await eventsOf(api, name))));
    const atOnce = spans.map(
      ({ from }) => spans.filter((span) => span.from <= from && from < span.to).length,
    );
    expect(Math.max(...atOnce)).toBe(2);
  });

  it('lists runs by filter and order, in pages, with the fields that are asked for', async () => {
    const { api } = server;
    const names: string[] = [];
    const request = {
      filter: 'name = runs/first OR labels.team = vision OR name = runs/stopped AND test.accuracy >= 0',
      orderBy: 'name desc',
      readMask: { paths: ['name', 'test.accuracy'] },
      pageSize: 1,
    };
    let pageToken = '';
    do {
      const page = await api.listRuns({ ...request, pageToken });
      for (const { name, state, config, test } of page.runs) {
        names.push(name);
        expect([state, config]).toEqual(['STATE_UNSPECIFIED', null]);
        expect(test!.accuracy).toBeGreaterThan(0);
        expect(test!.confusion).toEqual([]);
      }
      if (page.nextPageToken !== '')
        expect(await failureOf(api.listRuns({ filter: '', pageToken: page.nextPageToken }))).toContain(
          'page_token: belongs to another request',
        );
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(names).toEqual(['runs/stopped', 'runs/first']);
  });

  it('reports the metrics of the report, and weights whose digest the file confirms', async () => {
    const { api, runsDir } = server;
    const run = await api.getRun({ name: 'runs/first' });
    const { macroPrecision, tailRecall, worstRecall, nll } = readReport(join(runsDir, 'first')).test!;
    expect(run.test).toMatchObject({ macroPrecision, worstRecall, nll });
    expect(run.test?.tailRecall ?? null).toBe(tailRecall);
    const file = decodeSafetensors(readFileSync(join(runsDir, 'first', 'model', 'model.safetensors')));
    const digest = createHash('sha256').update(encodeSafetensors(file.arrays)).digest('hex');
    expect(run.weightsDigest).toBe(digest);
  });

  it('deletes a run that has ended, with its folder', async () => {
    const { api, runsDir } = server;
    const config = await tinyConfig({ method: 'erm', prior: null });
    const { name } = await api.createRun({ runId: 'doomed', config });
    await ended(api, name);
    await api.deleteRun({ name });
    expect(existsSync(join(runsDir, 'doomed'))).toBe(false);
    expect(await failureOf(api.getRun({ name }))).toBe('NOT_FOUND: runs/doomed: there is no such run');
    expect(await failureOf(api.deleteRun({ name }))).toContain('NOT_FOUND');
    await api.deleteRun({ name, allowMissing: true });
    await api.createRun({ runId: 'doomed', config }); // its name is free again
    expect(await failureOf(api.deleteRun({ name }))).toMatch(
      /^FAILED_PRECONDITION: runs\/doomed is (queued|running); cancel it first$/,
    );
    await api.cancelRun({ name });
    await api.deleteRun({ name });
  });

  it('fails a run whose data cannot be used, and says why', async () => {
    const { api, runsDir } = server;
    const { name } = await api.createRun({
      runId: 'broken',
      config: await tinyConfig({
        judge: await shapesJudge(),
        data: { source: await shapesData(), imageSize: 20 },
      }),
    });
    const run = await ended(api, name);
    expect(run.state).toBe('STATE_FAILED');
    expect(run.reason).toMatch(/was trained on images of 16×16×1, the data has 20×20×1/);
    expect(readFileSync(join(runsDir, 'broken', 'run.json'), 'utf8')).toContain('"failed"');
  });

  it.each([
    ['getRun', { name: 'runs/none' }, 'NOT_FOUND: runs/none: there is no such run'],
    ['getRun', { name: '../etc' }, 'INVALID_ARGUMENT: name: must be runs/{run}'],
    [
      'getEpoch',
      { name: 'runs/first/epochs/9' },
      'NOT_FOUND: runs/first/epochs/9: not complete; the last complete epoch is 3',
    ],
    [
      'listImages',
      { parent: 'runs/first/epochs/9' },
      'NOT_FOUND: runs/first/epochs/9: not complete; the last complete epoch is 3',
    ],
    [
      'createRun',
      { runId: 'empty' },
      'INVALID_ARGUMENT: config: is missing; give at least a method and data.source',
    ],
    [
      'listRuns',
      { filter: 'x' },
      "INVALID_ARGUMENT: filter: 'x': no such field; there are state, name, method, weight, epoch, epochs, " +
        'create_time, start_time, end_time, validation.accuracy',
    ],
    [
      'resumeRun',
      { name: 'runs/first' },
      'FAILED_PRECONDITION: runs/first has succeeded; there is nothing to resume',
    ],
  ] as const)('refuses %s %j', async (method, request, message) => {
    const call = server.api[method] as (request: object) => Promise<unknown>;
    expect((await failureOf(call(request))).slice(0, message.length)).toBe(message);
  });
});

describe('a coordinator that is killed', () => {
  it('goes on with its runs when it is started again', async () => {
    const reference = await referenceRun();
    const folder = newFolder('api-killed');
    const first = await startCoordinator(folder);
    await first.api.createRun({ runId: 'survivor', config: await tinyConfig() });
    await whenEvent(first.api, 'runs/survivor', ({ synthesisProgress }) => synthesisProgress?.epoch === 2);
    first.cli.signal('SIGKILL');
    await first.cli.ended;
    first.close();
    await eventually(() => expect(actorsOf(first.dir)).toEqual([]));
    const second = await startCoordinator(folder);
    try {
      const run = await ended(second.api, 'runs/survivor');
      expect(run.state).toBe('STATE_SUCCEEDED');
      expect(run.weightsDigest).toBe(readReport(reference.dir).weightsDigest);
    } finally {
      second.close();
      second.cli.signal('SIGTERM');
      expect((await second.cli.ended).code).toBe(0);
    }
  });
});
