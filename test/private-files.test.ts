// Another user of the machine looks at what a run left, and lays traps for the next one.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Cli } from './support/cli.ts';
import { newFolder, referenceRun, runArgs, shapesData } from './support/suite.ts';

const NOBODY = 65_534;
const canBeOthers = process.geteuid?.() === 0 && spawnSync('setpriv', ['--version']).status === 0;
const why = canBeOthers ? '' : ' (skipped: needs root and setpriv)';

/** A command as another user. */
function asNobody(...command: readonly string[]) {
  const user = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
  return spawnSync('setpriv', [...user, ...command], { encoding: 'utf8' });
}

const cli = async (args: readonly string[], env: Record<string, string> = {}) =>
  Cli.start(args, { env }).ended;

it('a run leaves nothing that others can read: models, logs, events, pictures', async () => {
  const { dir } = await referenceRun();
  const entries = readdirSync(dir, { recursive: true, encoding: 'utf8' });
  expect(entries).toContain('model/model.safetensors');
  expect(entries.some((name) => name.startsWith('logs/'))).toBe(true);
  const open = ['', ...entries].filter((name) => (lstatSync(join(dir, name)).mode & 0o077) !== 0);
  expect(open).toEqual([]);
});

describe.skipIf(!canBeOthers)(`another user${why}`, () => {
  /** A folder that everybody can enter, as the suite's are not. */
  function sharedFolder(): string {
    const folder = mkdtempSync(join(tmpdir(), 'ballast-shared-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    chmodSync(folder, 0o1777);
    return folder;
  }

  it('cannot read a run folder in a directory that he can enter', async () => {
    const out = join(sharedFolder(), 'run');
    const { code, stderr } = await cli(await runArgs(out, '--method', 'erm', '--epochs', '1'));
    expect(code, stderr).toBe(0);
    for (const name of ['', 'model/model.safetensors', 'report.json', 'events.jsonl', 'logs']) {
      const { status, stderr: told } = asNobody('ls', join(out, name));
      expect([name, status === 0, told.includes('Permission denied')]).toEqual([name, false, true]);
    }
  });

  it('owns a folder: no run is written there', async () => {
    const out = join(sharedFolder(), 'run');
    mkdirSync(out);
    chownSync(out, NOBODY, NOBODY);
    const { code, stderr } = await cli(await runArgs(out));
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `error: ${out} belongs to another user (uid ${NOBODY}); chown it, run as its owner, or choose another folder\n`,
    });
    expect(readdirSync(out)).toEqual([]);
  });
});

it.each([
  ['BALLAST_TOKEN_FILE', 0o666],
  ['BALLAST_TLS_KEY', 0o644],
])('%s that others can read (mode %o) is refused', async (name, mode) => {
  const file = join(newFolder('readable'), 'secret');
  writeFileSync(file, 'secret');
  chmodSync(file, mode);
  const { code, stderr } = await cli(['node', '--port', '0', '--dir', newFolder('node')], { [name]: file });
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^error: \S+: everybody on this machine can read or change it \(mode 0\d+\); set it to 0640 or less\n$/,
  );
});

it('a name with control characters steers no terminal', async () => {
  const odd = 'a\u001b]0;owned\u0007\u001b[31m\nerror: fine';
  const { stderr } = await cli(['run', '--data', join(await shapesData(), odd), '--out', newFolder('odd')]);
  expect(stderr.trimEnd()).not.toMatch(/[\p{Cc}]/u);
});
