// The Python package, installed from its folder as its users install it, against a real coordinator.
import { cpSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../common/package-root.ts';
import { startCoordinator, type TestCoordinator } from './support/coordinator.ts';
import { missingModules, PEER_PYTHON, runProgram } from './support/python-client.ts';
import { BUDGET, EPOCHS, newFolder, SHARD_SIZE, shapesData } from './support/suite.ts';

const missing = missingModules([
  'grpc_tools',
  'numpy',
  'pandas',
  'PIL',
  'pytest',
  'pytest_asyncio',
  'setuptools',
  'mypy',
]);
const name = missing === null ? 'the Python package' : `the Python package (skipped: ${missing})`;

const CONFIG = {
  method: 'iois',
  data: { source: 'shapes' },
  prior: 'prior.safetensors',
  training: { epochs: EPOCHS, batchSize: 4 },
  synthesis: { budget: BUDGET, shardSize: SHARD_SIZE },
  classifier: { widths: [8, 16], groups: 4 },
};

describe.skipIf(missing !== null)(name, () => {
  let server: TestCoordinator;
  let folder: string;
  let site: string;

  beforeAll(async () => {
    folder = newFolder('python-client');
    site = join(folder, 'site');
    // A copy, so that the build leaves nothing here; beside it the proto, as in the repository.
    const source = join(folder, 'checkout', 'clients', 'python');
    cpSync(join(packageRoot(), 'clients', 'python'), source, { recursive: true });
    cpSync(join(packageRoot(), 'proto'), join(folder, 'checkout', 'proto'), { recursive: true });
    // Its requirements are there, and nothing is downloaded.
    const install = [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--no-deps',
      '--no-build-isolation',
      '--target',
      site,
      source,
    ];
    expect(await runProgram(PEER_PYTHON, install)).toMatchObject({ code: 0 });
    server = await startCoordinator(folder, ['--resources', 'cpu=4', '--data', dirname(await shapesData())]);
    writeFileSync(join(folder, 'run.json'), JSON.stringify(CONFIG));
  }, 600_000);

  afterAll(async () => {
    server.close();
    server.cli.signal('SIGTERM');
    expect((await server.cli.ended).code).toBe(0);
  });

  const inSite = () => ({ PYTHONPATH: site, PYTHONDONTWRITEBYTECODE: '1' });

  it('passes its own tests', async () => {
    const tests = join(packageRoot(), 'clients', 'python', 'tests');
    const options = [
      '-q',
      '-p',
      'no:cacheprovider',
      '-c',
      join(packageRoot(), 'clients/python/pyproject.toml'),
      tests,
    ];
    const env = { BALLAST_SERVER: server.apiAddress, BALLAST_TEST_CONFIG: join(folder, 'run.json') };
    const { code, stdout } = await runProgram(PEER_PYTHON, ['-m', 'pytest', ...options], {
      ...inSite(),
      ...env,
    });
    expect(stdout).toContain(' passed');
    expect(code, stdout).toBe(0);
  });

  it('has types that a strict checker takes', async () => {
    const options = ['--strict', '--config-file', join(packageRoot(), 'clients/python/pyproject.toml')];
    const user = join(folder, 'user.py');
    writeFileSync(
      user,
      'from ballast import Client\n' +
        'with Client("127.0.0.1:1") as client:\n' +
        '    accuracy: float = client.get_run("a").test.accuracy\n' +
        '    wrong: int = client.get_run("a").name\n',
    );
    const cache = join(folder, 'mypy-cache');
    const { stdout } = await runProgram(
      PEER_PYTHON,
      ['-m', 'mypy', ...options, '--cache-dir', cache, '--python-executable', PEER_PYTHON, user],
      { ...inSite(), MYPYPATH: site },
    );
    const errors = stdout.split('\n').filter((line) => line.includes('error:'));
    expect(errors).toEqual([
      expect.stringMatching(/user\.py:4: error: Incompatible types in assignment .*"str".*"int"/),
    ]);
  });
});
