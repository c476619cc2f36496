// The images, as far as they go without a container engine: what the Dockerfile says, the build from what .dockerignore
// lets in, and the program running in a root of its own: unprivileged, read-only, as process 1, until SIGTERM.
// Not checked here: the base images, what Docker makes of the file, CUDA.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../common/testing/eventually.ts';
import { packageRoot } from '../common/package-root.ts';
import { copyContext, ImageRoot, linkPackages, runStage, whyNotEntered } from './support/image-root.ts';
import { imageConfig, lineage, readStages } from './support/k8s/dockerfile.ts';

const TARGETS = ['ballast', 'ballast-cuda', 'ballast-tfjs-gpu'];
const stages = readStages();

describe('the Dockerfile', () => {
  it.each(TARGETS)('%s: pinned, unprivileged, with an init, without what builds', (target) => {
    const { entrypoint, user } = imageConfig(stages, target);
    expect(entrypoint).toEqual(['tini', '--', 'ballast']);
    expect(user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
    const own = lineage(stages, target);
    const base = own[0]?.from ?? '';
    expect(base).toMatch(/^[\w./-]+:[\w.-]*\d{2,}[\w.-]*$/);
    expect(base).not.toMatch(/latest|devel/);
    const text = own.flatMap(({ steps }) => steps.map((step) => step.text)).join('\n');
    expect(text).not.toMatch(/apt-get|npm|COPY \. /);
  });

  it('copies only from stages that it has', () => {
    for (const { steps } of stages.values()) {
      for (const { text } of steps) {
        const [, from] = /--from=(\S+)/.exec(text) ?? [];
        if (from !== undefined) expect([...stages.keys()]).toContain(from);
      }
    }
  });
});

describe('scripts/release-images.sh', () => {
  const script = join(packageRoot(), 'scripts', 'release-images.sh');
  const written = join(packageRoot(), 'k8s', 'release.yaml');
  let bin: string;
  beforeAll(() => void (bin = mkdtempSync(join(tmpdir(), 'ballast-release-'))));
  afterAll(() => rmSync(bin, { recursive: true }));

  /** A scripted `docker` that replaces the real one: no engine is needed to see which calls the script refuses. */
  const release = (docker: string) => {
    writeFileSync(join(bin, 'docker'), `#!/bin/sh\n${docker}\n`, { mode: 0o755 });
    return spawnSync(script, ['registry.example.com/team', 'ballast'], {
      encoding: 'utf8',
      env: { ...process.env, PATH: `${bin}:${process.env.PATH}` },
    });
  };

  it.each([
    ['no engine', 'exit 1', 'no container engine answers'],
    ['a registry without digests', 'case "$*" in *inspect*) exit 1;; esac', 'the registry tells no digest'],
    ['what is no digest', 'case "$*" in *inspect*) echo latest;; esac', "'latest' is no digest"],
    [
      'a build that fails',
      `case "$*" in *inspect*) echo sha256:${'a'.repeat(64)};; buildx\\ build*) exit 1;; esac`,
      'the build failed',
    ],
  ])('writes nothing with %s', (_what, docker, message) => {
    const { status, stderr } = release(docker);
    expect(status).toBe(1);
    expect(stderr).toContain(message);
    expect(stderr).toContain('nothing was written');
    expect(existsSync(written)).toBe(false);
  });
});

const missing = whyNotEntered();

describe.skipIf(missing !== null)(
  missing === null ? 'an image’s root' : `an image’s root (skipped: ${missing})`,
  () => {
    let folder: string;
    let image: ImageRoot;
    const program = () => join(folder, 'root', 'opt', 'ballast');

    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'ballast-image-'));
      const context = join(folder, 'context');
      mkdirSync(context);
      copyContext(context);
      linkPackages(context);
      runStage('build', context);
      runStage('root-cpu', context, { '/opt/ballast': program() });
      image = new ImageRoot(join(folder, 'root'), ['/var/lib/ballast/node', '/var/cache/ballast']);
    }, 600_000);
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    it('holds what runs and nothing that builds', () => {
      const packages = readdirSync(join(program(), 'node_modules'));
      expect(packages).toContain('onnxruntime-node');
      for (const tool of ['typescript', 'vitest', 'eslint', 'prettier', 'kubernetes-models', '.bin/tsc'])
        expect(existsSync(join(program(), 'node_modules', tool)), tool).toBe(false);
      const [version = ''] = readdirSync(join(program(), 'node_modules', 'onnxruntime-node', 'bin'));
      const libraries = join(program(), 'node_modules', 'onnxruntime-node', 'bin', version);
      const kept = readdirSync(libraries).flatMap((os) =>
        readdirSync(join(libraries, os)).map((arch) => `${os}/${arch}`),
      );
      expect(kept).toEqual([`${process.platform}/${process.arch}`]);
      expect(readdirSync(program()).sort()).toEqual([
        ...['LICENSE', 'dist', 'examples', 'node_modules', 'package.json', 'priors', 'proto'],
      ]);
    });

    it('loads its native libraries as the image’s user', async () => {
      const probe = [
        "const ort = require('/opt/ballast/node_modules/onnxruntime-node');",
        "const sharp = require('/opt/ballast/node_modules/sharp');",
        'console.log(process.getuid(), process.getgid(), ort.listSupportedBackends().length > 0, !!sharp.versions.vips);',
      ].join('');
      const child = image.start('ballast', ['-e', probe], ['node']);
      expect([await child.ended, child.output]).toEqual([0, '10001 10001 true true\n']);
    });

    it('cannot write anywhere but where a volume is', async () => {
      const probe =
        "for (const path of ['/x', '/opt/ballast/x', '/usr/lib/x', '/tmp/x', '/dev/shm/x', '/var/lib/ballast/node/x'])" +
        "try { require('fs').writeFileSync(path, ''); console.log(path); } catch { console.log('no'); }";
      const child = image.start('ballast', ['-e', probe], ['node']);
      expect(await child.ended, child.output).toBe(0);
      expect(child.output.trim().split('\n')).toEqual([
        ...['no', 'no', 'no', '/tmp/x', '/dev/shm/x', '/var/lib/ballast/node/x'],
      ]);
    });

    it('runs a node as process 1 of its own, which SIGTERM ends with 0', async () => {
      const args = [
        'node',
        '--dir',
        '/var/lib/ballast/node',
        '--labels',
        'role=diffusion-worker',
        '--grace',
        '5',
      ];
      const child = image.start('ballast', args);
      try {
        await eventually(() => expect(child.output).toMatch(/serves at 127\.0\.0\.1:\d+/));
        process.kill(child.pid, 'SIGTERM');
        expect(await child.ended, child.output).toBe(0);
      } finally {
        child.kill();
      }
    });
  },
);
