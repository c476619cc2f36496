// The package of `npm pack`, in an empty folder: the command, a run, and the libraries with their types.
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../common/package-root.ts';
import { newFolder, shapesData } from './support/suite.ts';

interface Manifest {
  readonly version: string;
  readonly private?: boolean;
  readonly dependencies: Readonly<Record<string, string>>;
}

const ROOT = packageRoot();
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest;
const run = promisify(execFile);

let folder: string;
let bin: string;

/** Unpacks the package as npm would, beside the dependencies that it declares and no others. Nothing is downloaded. */
beforeAll(async () => {
  folder = newFolder('package');
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: ROOT });
  const modules = join(folder, 'node_modules');
  const own = join(modules, 'ballast');
  mkdirSync(own, { recursive: true });
  await run('tar', [
    '-xzf',
    join(folder, `ballast-${manifest.version}.tgz`),
    '-C',
    own,
    '--strip-components=1',
  ]);
  for (const name of Object.keys(manifest.dependencies)) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
  }
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
  bin = join(own, 'dist/bundle/cli/main.js');
});

const ballast = (...args: string[]) => run('node', [bin, ...args], { cwd: folder, timeout: 840_000 });

describe('the package', () => {
  it('may be published, and reports each change', () => {
    expect(manifest.private).toBeUndefined();
    const changes = readFileSync(join(folder, 'node_modules/ballast/CHANGELOG.md'), 'utf8');
    expect(changes).toContain(`## ${manifest.version}`);
  });

  it('has the command', async () => {
    expect((await ballast('--version')).stdout.trim()).toBe(manifest.version);
    expect((await ballast('demo', '--help')).stdout).toContain('Usage: ballast demo');
  });

  it('does a run on a folder of images', async () => {
    const flags = ['--method', 'erm', '--epochs', '1', '--out', 'run'];
    await ballast('run', '--data', await shapesData(), ...flags);
    const report = JSON.parse(readFileSync(join(folder, 'run/report.json'), 'utf8')) as { method: string };
    expect(report.method).toBe('erm');
  });

  it('has the actor runtime with its types', async () => {
    const program = join(folder, 'use.ts');
    writeFileSync(
      program,
      `import { createLog, startNode, type Node } from 'ballast/actors';\n` +
        `const log = createLog({ write: () => undefined });\n` +
        `const node: Node = await startNode({ runDir: 'node', log });\n` +
        `console.log((await node.listNodes()).map(({ state }) => state).join());\n` +
        `await node.close();\n` +
        `export const wrong: number = node.nodeId;\n`,
    );
    const types = join(ROOT, 'node_modules/@types');
    const flags = ['--strict', '--target', 'es2023', '--module', 'nodenext', '--skipLibCheck', '--typeRoots', types, '--types', 'node']; // prettier-ignore
    const checked = await run('node', [join(ROOT, 'node_modules/typescript/bin/tsc'), ...flags, program], {
      cwd: folder,
    }).catch((thrown: unknown) => thrown as { stdout: string });
    const errors = checked.stdout.split('\n').filter((line) => line.includes('error'));
    expect(errors).toEqual([expect.stringMatching(/use\.ts\(6,14\): error TS2322: .*'string'.*'number'/)]);
    expect((await run('node', ['use.js'], { cwd: folder, timeout: 120_000 })).stdout).toBe('alive\n');
  });
});
