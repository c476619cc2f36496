// The commands that call a coordinator's API, against a real one.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { hasOpenssl, noOpenssl } from '../actors/testing/certificates.ts';
import { describeFailure } from '../cli/base/failure.ts';
import { createProgram } from '../cli/program.ts';
import { Cli, type CliEnd } from './support/cli.ts';
import { startCoordinator, type TestCoordinator } from './support/coordinator.ts';
import { startProxy } from './support/flaky-proxy.ts';
import { BUDGET, EPOCHS, jsonLines, newFolder, SHARD_SIZE, shapesData } from './support/suite.ts';

/** Room for two runs and a trainer for images on demand. */
const ROOM = ['--resources', 'cpu=4'];

/** The suite's tiny run; paths are the server's. */
const CONFIG = {
  method: 'iois',
  data: { source: 'shapes' },
  prior: 'prior.safetensors',
  training: { epochs: EPOCHS, batchSize: 4 },
  synthesis: { budget: BUDGET, shardSize: SHARD_SIZE },
  classifier: { widths: [8, 16], groups: 4 },
};

interface JsonEvent {
  readonly sequence: number;
  readonly time: string;
  readonly event: string;
  readonly stateChanged?: { readonly state: string };
}

interface JsonRun {
  readonly name: string;
  readonly state: string;
  readonly epoch: number;
  readonly createTime: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly config: { readonly training: { readonly epochs: number } };
}

let folder: string;
let server: TestCoordinator;
const living = new Set<TestCoordinator>();

async function startServer(
  home: string,
  env: Record<string, string> = {},
  flags: readonly string[] = [],
): Promise<TestCoordinator> {
  const data = ['--data', dirname(await shapesData())];
  const coordinator = await startCoordinator(home, [...ROOM, ...data, ...flags], env);
  living.add(coordinator);
  return coordinator;
}

async function stop(coordinator: TestCoordinator): Promise<void> {
  living.delete(coordinator);
  coordinator.close();
  coordinator.cli.signal('SIGTERM');
  expect((await coordinator.cli.ended).code).toBe(0);
}

/** Starts `ballast …` with the server's address in its environment. */
function start(args: readonly string[], address = server.apiAddress, env: Record<string, string> = {}): Cli {
  return Cli.start(args, { cwd: folder, env: { BALLAST_SERVER: address, ...env } });
}

const ballast = (...args: string[]): Promise<CliEnd> => start(args).ended;

/** Output of a command that succeeds. */
async function output(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await ballast(...args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

/** How a command ends, without a process of its own. */
async function inProcess(args: readonly string[]) {
  let stdout = '';
  const out = { write: (text: string) => void (stdout += text) };
  vi.stubEnv('BALLAST_SERVER', server.apiAddress);
  try {
    const program = await createProgram({ stdout: out, stderr: out, cwd: folder }, args[0]);
    await program.parseAsync(args, { from: 'user' });
    return { code: 0, lines: [], stdout };
  } catch (thrown) {
    const { lines, exitCode: code } = describeFailure(thrown, false, () => 'log');
    return { code, lines, stdout };
  } finally {
    vi.unstubAllEnvs();
  }
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

beforeAll(async () => {
  folder = newFolder('clients');
  server = await startServer(folder);
  writeFileSync(join(folder, 'run.json'), JSON.stringify(CONFIG));
});

afterAll(async () => {
  for (const coordinator of [...living]) await stop(coordinator);
});

describe('a run', () => {
  it('is submitted and watched to its end', async () => {
    const labels = ['--label', 'team=vision', '--label', 'try=1'];
    const lines = (
      await output('submit', '--config', 'run.json', '--id', 'first', ...labels, '--watch')
    ).split('\n');
    expect(lines[0]).toMatch(/^runs\/first: (queued|running)$/);
    expect(lines).toContain('queued: waits for its turn');
    expect(lines.filter((line) => /^epoch \d\/3: loss .*, balanced accuracy/.test(line))).toHaveLength(
      EPOCHS,
    );
    expect(lines.at(-2)).toMatch(
      /^runs\/first succeeded: balanced accuracy [\d.]+%, .* \(test\); weights [0-9a-f]{12}$/,
    );
  });

  it('is listed and described', async () => {
    const table = await output('runs');
    expect(table).toMatch(/^RUN +STATE +EPOCH/);
    expect(table).toMatch(/^first +succeeded +3\/3 +iois +1 +[\d.]+% .*team=vision,try=1$/m);
    expect(await output('runs', '--filter', 'labels.team = vision')).toContain('first');
    expect(await output('runs', '--filter', 'labels.team = other')).toBe('no such runs\n');
    const details = await output('runs', 'runs/first');
    for (const fact of [
      'state:      succeeded',
      'classes:    cross, disc, square',
      'epochs:     3 of 3',
      'recall:',
    ])
      expect(details).toContain(fact);
    const [run] = jsonLines<JsonRun>(await output('runs', 'first', '--json'));
    expect(run).toMatchObject({
      name: 'runs/first',
      state: 'STATE_SUCCEEDED',
      labels: { team: 'vision', try: '1' },
    });
    expect(run!.config.training.epochs).toBe(EPOCHS);
    expect(Date.parse(run!.createTime)).toBeGreaterThan(Date.now() - 600_000);
    expect(jsonLines<JsonRun>(await output('runs', '--json'))).toEqual([run]);
  });

  it('is submitted once, however often, with one request id', async () => {
    const args = [
      'submit',
      '--config',
      'run.json',
      '--set',
      'training.epochs=1',
      '--request-id',
      'wish',
      '--json',
    ];
    const [once] = jsonLines<JsonRun>(await output(...args));
    const [again] = jsonLines<JsonRun>(await output(...args));
    expect(again!.name).toBe(once!.name);
    expect(once!.config.training.epochs).toBe(1);
    const { code, stderr } = await ballast(...args, '--seed', '9');
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining("request_id 'wish' made") as string,
    });
    await output('watch', once!.name);
  });

  it('is cancelled and resumed; a watcher learns of its end', async () => {
    await output('submit', '--config', 'run.json', '--id', 'stopped', '--epochs', '400');
    const watching = start(['watch', 'stopped']);
    await watching.waitFor(/^epoch 1\/400/m);
    expect(await output('cancel', 'stopped')).toMatch(/^runs\/stopped: cancelled after epoch \d+ of 400;/);
    const { code, stderr } = await watching.ended;
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(
        /^error: runs\/stopped cancelled .*`ballast resume stopped` continues it\n$/,
      ) as string,
    });
    expect(await output('resume', 'stopped')).toMatch(/^runs\/stopped: (queued|running), from epoch \d+;/);
    const second = start(['watch', 'stopped']);
    await second.waitFor(/^cancelled[^]*^running[^]*^epoch/m);
    second.interrupt();
    expect(await second.ended).toMatchObject({
      code: 130,
      stderr: 'Stopped watching; the run continues. Watch again with: ballast watch stopped\n',
    });
    expect(await output('runs', 'stopped')).toContain('state:      running');
    expect(await output('cancel', 'stopped', '--json')).toContain('"STATE_CANCELLED"');
    expect(await output('cancel', 'first')).toBe('runs/first: had ended already: succeeded\n');
  });

  it('that fails says why', async () => {
    mkdirSync(join(folder, '../shapes/broken'), { recursive: true });
    const args = ['submit', '--config', 'run.json', '--id', 'failing', '--data', 'shapes/broken', '--watch'];
    const { code, stderr } = await ballast(...args);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/^error: runs\/failing failed: .+\n$/) as string,
    });
  });
});

describe('a connection that breaks', () => {
  it('is made again by who watches: each event once, over a restart of the coordinator too', async () => {
    const home = newFolder('restarted');
    const first = await startServer(home);
    const proxy = await startProxy(first.apiAddress);
    try {
      const watching = start(
        ['submit', '--config', 'run.json', '--id', 'long', '--epochs', '8', '--watch', '--json'],
        proxy.address,
      );
      await watching.waitFor(/"epochFinished".*\n/);
      proxy.cut();
      await watching.waitFor(/(?:"epochFinished"[^]*){3}/);
      await stop(first);
      const second = await startServer(home);
      proxy.target = second.apiAddress;
      const { code, stdout, stderr } = await watching.ended;
      expect(code).toBe(0);
      expect(stderr).toMatch(/^connection lost \(.+\); trying again\n/);
      const events = jsonLines<JsonEvent>(stdout).filter(({ sequence }) => sequence > 0);
      const all = jsonLines<JsonEvent>(
        await start(['watch', 'long', '--json'], second.apiAddress).ended.then((end) => end.stdout),
      );
      expect(events).toEqual(all);
      expect(events.filter(({ event }) => event === 'epochFinished').length).toBeGreaterThanOrEqual(8);
      expect(events.at(-1)!.stateChanged!.state).toBe('STATE_SUCCEEDED');
      await stop(second);
    } finally {
      await proxy.close();
    }
  });

  it('is made again by a download, which goes on where it ended', async () => {
    const wide = [
      '--method',
      'erm',
      '--epochs',
      '1',
      '--set',
      'classifier.widths=[64,256]',
      '--set',
      'synthesis.budget=0',
      '--set',
      'training.steps=1', // of a network that is large for the size of its file
      '--batch-size',
      '4',
    ];
    await output('submit', '--config', 'run.json', '--id', 'wide', ...wide, '--watch');
    const made = readFileSync(join(server.runsDir, 'wide/model/model.safetensors'));
    expect(made.length).toBeGreaterThan(2.5 * 1024 * 1024);
    const proxy = await startProxy(server.apiAddress);
    try {
      proxy.cutAfter(2.2 * 1024 * 1024);
      const { code, stdout, stderr } = await start(
        ['model', 'wide', '--out', 'wide/m.safetensors'],
        proxy.address,
      ).ended;
      expect({ code, stderr }).toEqual({
        code: 0,
        stderr: expect.stringContaining('connection lost') as string,
      });
      expect(stdout).toBe(
        `wide/m.safetensors: ${made.length.toLocaleString('en-US')} bytes, SHA-256 ${sha256(made)}\n`,
      );
      expect(readFileSync(join(folder, 'wide/m.safetensors'))).toEqual(made);
      expect(readdirSync(join(folder, 'wide'))).toEqual(['m.safetensors']);
      expect(proxy.connections()).toBe(2);
      expect(proxy.bytes()).toBeLessThan(made.length + 1.5 * 1024 * 1024); // not all of it twice
    } finally {
      await proxy.close();
    }
  });
});

describe('the images of a run', () => {
  it('is fetched in either format', async () => {
    for (const format of ['safetensors', 'onnx']) {
      await output('model', 'first', '--format', format, '--out', `first.${format}`);
      const made = readFileSync(join(server.runsDir, `first/model/model.${format}`));
      expect(sha256(readFileSync(join(folder, `first.${format}`)))).toBe(sha256(made));
    }
  });

  it('has no model before it ends, and leaves no file', async () => {
    const { code, stderr } = await ballast('model', 'stopped', '--out', 'none/none.safetensors');
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'error: runs/stopped has no model: it is cancelled\n',
    });
    expect(readdirSync(join(folder, 'none'))).toEqual([]);
  });

  it('makes images of a class: equal seeds, equal images', async () => {
    const make = async (out: string, ...more: string[]) => {
      const args = ['synthesize', 'first', '--class', 'disc', '--count', '8', '--out', out, ...more];
      expect(await output(...args)).toBe(`${out}: 8 images of disc\n`);
      const names = readdirSync(join(folder, out)).sort();
      expect(names).toEqual(Array.from({ length: 8 }, (_, i) => `disc-0000${i + 1}.png`));
      return names.map((name) => readFileSync(join(folder, out, name)));
    };
    const images = await make('images', '--seed', '5');
    for (const png of images) {
      expect(await sharp(png).metadata()).toMatchObject({ format: 'png', width: 16, height: 16 });
    }
    expect(await make('again', '--seed', '5')).toEqual(images);
    expect(await make('others', '--seed', '6')).not.toEqual(images);
    expect(await make('unguided', '--seed', '5', '--guidance', '0')).not.toEqual(images);
  });

  it('stops making images at Ctrl-C, and leaves whole ones alone', async () => {
    const making = start([
      'synthesize',
      'first',
      '--class',
      'disc',
      '--count',
      '5000',
      '--out',
      'many',
      '--json',
    ]);
    await making.waitFor(/"path".*\n/);
    making.interrupt();
    expect(await making.ended).toMatchObject({
      code: 130,
      stderr: 'Stopped; images that are written stay.\n',
    });
    const names = readdirSync(join(folder, 'many'));
    expect(names.length).toBeLessThan(5000);
    for (const name of names) expect(name).toMatch(/^disc-\d{5}\.png$/);
    await sharp(readFileSync(join(folder, 'many', names.at(-1)!))).stats();
  });
});

describe('mistakes', () => {
  beforeAll(() => {
    writeFileSync(
      join(folder, 'bad.yaml'),
      'method: erm\ndata:\n  source: shapes\ntraining:\n  epochs: many\n',
    );
    writeFileSync(join(folder, 'empty'), '\n', { mode: 0o600 });
  });
  it.each([
    [['submit', '--config', 'bad.yaml'], /bad\.yaml:5: training\.epochs is 'many'; it must be/],
    [['submit', '--config', 'bad.yaml', '--epochs', '-1'], /command line: training\.epochs is -1/],
    [
      ['submit', '--config', 'run.json', '--data', '../../etc'],
      /command line: data\.source '[./]+etc': it is in none of the folders/,
    ],
    [['submit', '--config', 'run.json', '--id', 'First'], /run_id: use 1 to 63 lower-case letters/],
    [['submit', '--config', 'run.json', '--id', 'first'], /runs\/first is there already/],
    [['submit', '--config', 'run.json', '--weight', '0'], /--weight 0: it must be a number above 0/],
    [['submit', '--config', 'run.json', '--label', 'x'], /--label x: write name=value/],
    [['watch', 'first', '--from', '0'], /--from 0: it must be a whole number from 1/],
    [['watch', 'nobody'], /runs\/nobody: there is no such run/],
    [['runs', '--filter', 'state = LOST'], /filter: 'LOST': no such state; use one of QUEUED/],
    [['cancel', 'nobody'], /runs\/nobody: there is no such run/],
    [['resume', 'first'], /runs\/first has succeeded/],
    [['model', 'nobody', '--out', 'x'], /runs\/nobody: there is no such run/],
    [
      ['synthesize', 'first', '--class', 'cat', '--count', '1', '--out', 'x'],
      /class_name: no such class; the run has cross/,
    ],
    [['synthesize', 'first', '--class', 'disc', '--count', '0', '--out', 'x'], /--count 0: it must be/],
    [
      ['synthesize', 'first', '--class', 'disc', '--count', '1', '--out', 'x', '--guidance', 'x'],
      /--guidance x: it must be/,
    ],
    [['runs', '--server', 'nowhere'], /--server nowhere: it must be HOST:PORT/],
    [['runs', '--server', '127.0.0.1:1'], /server 127\.0\.0\.1:1 cannot be reached: connect ECONNREFUSED/],
    [['watch', 'first', '--server', '127.0.0.1:1'], /server 127\.0\.0\.1:1 cannot be reached/],
    [['runs', '--token-file', 'absent'], /--token-file \S+absent: cannot be read/],
    [['runs', '--token-file', 'empty'], /--token-file empty: the file is empty/],
  ])('%j', async (args, message) => {
    const { code, lines, stdout } = await inProcess(args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(lines).toEqual([expect.stringMatching(message)]);
    expect(lines[0]).toMatch(/^error: [^\n]+$/);
    expect(existsSync(join(folder, 'x'))).toBe(false);
  });

  it('without a server, or with a node in its place', async () => {
    expect((await start(['runs'], '').ended).stderr).toBe(
      'error: which server? Give --server HOST:PORT, or set BALLAST_SERVER\n',
    );
    expect((await ballast('runs', '--server', server.nodeAddress)).stderr).toContain('has no such API');
  });
});

it('a token is shown out of a file, and reaches as far as its scope', async () => {
  const home = newFolder('tokens');
  const [made] = jsonLines<{ token: string; entry: object }>(
    await output('token', 'new', '--name', 'viewer', '--scope', 'read', '--json'),
  );
  const [tokens, tokenFile] = [join(home, 'tokens.yaml'), join(home, 'token')];
  writeFileSync(tokens, JSON.stringify({ tokens: [made!.entry] }), { mode: 0o600 });
  writeFileSync(tokenFile, `${made!.token}\n`, { mode: 0o600 });
  const guarded = await startServer(home, {}, ['--tokens', tokens]);
  const run = (args: readonly string[], env: Record<string, string> = {}) =>
    start(args, guarded.apiAddress, env).ended;
  expect(await run(['runs', '--token-file', tokenFile])).toMatchObject({ code: 0, stdout: 'no runs\n' });
  const env = { BALLAST_API_TOKEN_FILE: tokenFile };
  expect(await run(['runs'], env)).toMatchObject({ code: 0 });
  expect(await run(['submit', '--config', 'run.json'], env)).toMatchObject({
    code: 1,
    stderr: "error: the token 'viewer' lacks the scope 'submit'\n",
  });
  expect((await run(['runs'])).stderr).toMatch(
    /^error: this server wants a token.*: give --token-file FILE, or set /,
  );
  await stop(guarded);
});

describe.skipIf(!hasOpenssl)(`TLS${noOpenssl}`, () => {
  it('uses the certificates that the environment names; reports a mismatch in one line', async () => {
    const home = newFolder('tls');
    const files = makeCertificates(home);
    const secure = await startServer(home, files);
    const run = (env: Record<string, string>) => start(['runs'], secure.apiAddress, env).ended;
    expect(await run(files)).toMatchObject({ code: 0, stdout: 'no runs\n', stderr: '' });
    const plain = await run({});
    expect(plain).toMatchObject({ code: 1, stdout: '' });
    expect(plain.stderr).toMatch(/^error: server [\d.:]+ cannot be reached: [^\n]+\n$/);
    const { BALLAST_TLS_CA } = files;
    expect(await run({ BALLAST_TLS_CA })).toMatchObject({ code: 1 }); // the server asks for a certificate
    expect((await run({ BALLAST_TLS_CERT: files.BALLAST_TLS_CERT })).stderr).toContain(
      'TLS needs BALLAST_TLS_CA',
    );
    await stop(secure);
  });
});

function makeCertificates(dir: string) {
  const path = (name: string) => join(dir, `${name}.pem`);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'];
  openssl('req', '-x509', ...newKey, '-subj', '/CN=authority', '-keyout', path('ca-key'), '-out', path('ca'));
  const name = ['-subj', '/CN=ballast', '-addext', 'subjectAltName=DNS:ballast'];
  const signer = ['-CA', path('ca'), '-CAkey', path('ca-key')];
  openssl('req', '-x509', ...newKey, ...name, ...signer, '-keyout', path('key'), '-out', path('cert'));
  return { BALLAST_TLS_CA: path('ca'), BALLAST_TLS_CERT: path('cert'), BALLAST_TLS_KEY: path('key') };
}
