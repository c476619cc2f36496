// The example programs in examples/api, run as their README says, against a real coordinator.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../common/package-root.ts';
import { startCoordinator, type TestCoordinator } from './support/coordinator.ts';
import { type End, missingPython, pythonClient, runProgram } from './support/python-client.ts';
import { BUDGET, EPOCHS, jsonLines, newFolder, SHARD_SIZE, shapesData } from './support/suite.ts';

const ROOT = packageRoot();
const SERVICE = 'ballast.v1.CoordinatorService';
const METHODS = 15;
const CONFIG = {
  method: 'iois',
  data: { source: 'shapes' },
  prior: 'prior.safetensors',
  training: { epochs: EPOCHS, batchSize: 4 },
  synthesis: { budget: BUDGET, shardSize: SHARD_SIZE },
  classifier: { widths: [8, 16], groups: 4 },
};
const MISTAKE = {
  message: 'INVALID_ARGUMENT: config.training.epochs: ',
  info: ['INVALID_FIELD', 'ballast', { field: 'config.training.epochs', value: '0' }] as const,
};

let folder: string;
let server: TestCoordinator;
let files: { readonly config: string; readonly mistake: string };

beforeAll(async () => {
  folder = newFolder('examples');
  const data = ['--data', dirname(await shapesData())];
  server = await startCoordinator(folder, ['--resources', 'cpu=4', ...data]);
  files = { config: join(folder, 'run.json'), mistake: join(folder, 'mistake.json') };
  writeFileSync(files.config, JSON.stringify(CONFIG));
  writeFileSync(files.mistake, JSON.stringify({ ...CONFIG, training: { epochs: 0 } }));
});

afterAll(async () => {
  server.close();
  server.cli.signal('SIGTERM');
  expect((await server.cli.ended).code).toBe(0);
});

const example = (name: string, ...args: string[]) =>
  runProgram(process.execPath, [join(ROOT, 'dist/examples/api', `${name}.js`), server.apiAddress, ...args]);

/** The reason and the facts, as the examples print them. */
function expectMistake({ code, stderr }: End): void {
  const [message = '', info = ''] = stderr.split('\n');
  expect(code).toBe(1);
  expect(message).toContain(MISTAKE.message);
  const [reason, domain, metadata = ''] = info.split(/ (?=ballast )| (?=\{)/);
  expect([reason, domain, JSON.parse(metadata)]).toEqual(MISTAKE.info);
}

describe('by reflection alone', () => {
  it('lists services and methods', async () => {
    expect((await example('by-reflection')).stdout.split('\n')).toContain(SERVICE);
    const { stdout } = await example('by-reflection', SERVICE);
    expect(stdout.trimEnd().split('\n')).toHaveLength(METHODS);
    expect(stdout).toContain('WatchRun(ballast.v1.WatchRunRequest) returns (stream ballast.v1.RunEvent)');
  });

  it('makes, watches and lists a run, with JSON', async () => {
    const call = async (method: string, request: object) => {
      const { code, stdout, stderr } = await example(
        'by-reflection',
        `${SERVICE}/${method}`,
        JSON.stringify(request),
      );
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      return jsonLines<Record<string, unknown>>(stdout);
    };
    const config = {
      ...CONFIG,
      method: 'erm',
      training: { epochs: 1, batchSize: 4 },
      synthesis: { budget: 0 },
    };
    const [made] = await call('CreateRun', { run_id: 'reflected', labels: { team: 'vision' }, config });
    expect(made).toMatchObject({
      name: 'runs/reflected',
      labels: { team: 'vision' },
      config: { method: 'erm' },
    });
    const events = await call('WatchRun', { name: 'runs/reflected', from_sequence: 1 });
    expect(events.at(-1)).toMatchObject({ state_changed: { state: 'STATE_SUCCEEDED' } });
    const [listed] = await call('ListRuns', { filter: 'labels.team = vision' });
    expect(listed).toMatchObject({
      runs: [{ name: 'runs/reflected', epoch: 1, classes: ['cross', 'disc', 'square'] }],
    });
  });

  it('shows what is wrong', async () => {
    expect(await example('by-reflection', `${SERVICE}/GetRun`, '{"name": "runs/nobody"}')).toEqual({
      code: 1,
      stdout: '',
      stderr: 'NOT_FOUND: runs/nobody: there is no such run\n',
    });
    expect((await example('by-reflection', `${SERVICE}/GetRun`, '{"id": 1}')).stderr).toContain(
      'has no field id',
    );
  });

  it('works with buf curl, which reads descriptors strictly', async () => {
    const curl = (...args: string[]) =>
      runProgram(join(ROOT, 'node_modules/.bin/buf'), [
        'curl',
        '--protocol',
        'grpc',
        '--http2-prior-knowledge',
        ...args,
      ]);
    const url = `http://${server.apiAddress}`;
    const list = await curl('--list-methods', url);
    expect(list.stdout.trimEnd().split('\n')).toHaveLength(METHODS);
    const page = await curl('-d', '{"page_size": 1}', `${url}/${SERVICE}/ListRuns`);
    expect(page).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(page.stdout)).toMatchObject({ runs: [{ state: 'STATE_SUCCEEDED', weight: 1 }] });
  });
});

describe('typed, in TypeScript', () => {
  it('submits, watches, and fetches the model', async () => {
    const model = join(folder, 'typed.safetensors');
    const { code, stdout, stderr } = await example('typed-client', files.config, 'typed', model);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(`runs/typed/epochs/${EPOCHS}: loss `);
    expect(stdout).toContain('runs/typed: STATE_SUCCEEDED');
    expect(readFileSync(model)).toEqual(readFileSync(join(server.runsDir, 'typed/model/model.safetensors')));
  });

  it('understands errors', async () =>
    expectMistake(await example('typed-client', files.mistake, 'wrong', 'none')));
});

describe.skipIf(missingPython !== null)(
  `in Python${missingPython === null ? '' : ` (skipped: ${missingPython})`}`,
  () => {
    let client: Awaited<ReturnType<typeof pythonClient>>;
    beforeAll(async () => {
      client = await pythonClient(folder);
    });
    const train = (config: string, id: string) => client.train(server.apiAddress, config, id);

    it('submits, watches, fetches the model, and has images made', async () => {
      const { code, stdout, stderr } = await train(files.config, 'python');
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toContain(`runs/python/epochs/${EPOCHS}: loss `);
      expect(stdout).toContain('runs/python: STATE_SUCCEEDED');
      const made = readFileSync(join(server.runsDir, 'python/model/model.safetensors'));
      expect(readFileSync(join(folder, 'python/model.safetensors'))).toEqual(made);
      expect(
        readdirSync(join(folder, 'python')).filter((name) => /^disc-\d{5}\.png$/.test(name)),
      ).toHaveLength(10);
    });

    it('understands errors', async () => expectMistake(await train(files.mistake, 'wrong')));
  },
);
