// "Ten minutes from nothing to a run" of docs/kubernetes.md, word for word, in a cluster of this machine.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../common/package-root.ts';
import { HELM_PATH } from '../support/k8s/objects.ts';
import { tinyValues } from '../support/coordinator.ts';
import { SHAPE_SIZE } from '../support/shapes.ts';
import { shapesData, shapesPrior } from '../support/suite.ts';
import { LocalCluster, whyNoLocalCluster } from './local-cluster.ts';

const MINUTES = 60_000;
const missing = process.env['KUBECONFIG'] ? 'KUBECONFIG names another cluster' : whyNoLocalCluster({});

/** The blocks of the page's first section, in order. */
function blocks(language: string): string[] {
  const page = readFileSync(join(packageRoot(), 'docs/kubernetes.md'), 'utf8');
  const [, section = ''] = page.split(/^## /m);
  expect(section).toMatch(/^Ten minutes/);
  return [...section.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'))].map(
    ([, text]) => text!,
  );
}

/** The same for this cluster, which has the image already. */
const adapted = (script: string) =>
  script.replace(/^(docker|kind) .*\n/gm, '').replace(/^(helm install .*)$/gm, '$1 --values "$VALUES"');

/** The same configuration for the suite's images, and a run of seconds. */
async function shortened(config: string): Promise<string> {
  const { training, synthesis, classifier } = (await tinyValues()) as Record<string, object>;
  return config.replace(/^( *)(data:.*)imageSize: 32 }$/m, (_, indent: string, source: string) =>
    [
      `${source}imageSize: ${SHAPE_SIZE} }`,
      ...Object.entries({ training, synthesis, classifier }).map(yamlLine),
    ]
      .map((line) => `${indent}${line}`)
      .join('\n'),
  );
}

/** JSON is YAML too. */
function yamlLine([key, value]: [string, object | undefined]): string {
  return `${key}: ${JSON.stringify(value)}`;
}

describe.skipIf(missing !== null)(
  missing === null ? 'ten minutes' : `ten minutes (skipped: ${missing})`,
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'ballast-ten-'));
    let cluster: LocalCluster;

    /** Runs it as a user's shell would, but ends with the first command that fails. */
    const run = async (script: string) => {
      const child = spawn(
        'bash',
        ['-euxo', 'pipefail', '-c', `trap 'kill $(jobs -p) || true' EXIT\n${adapted(script)}`],
        {
          ...{ cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] },
          env: {
            ...process.env,
            KUBECONFIG: cluster.kubeconfig,
            VALUES: cluster.values,
            PATH: `${folder}/bin:${HELM_PATH}`,
          },
        },
      );
      let output = '';
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', (more: string) => (output += more));
      const [code] = (await once(child, 'close')) as [number | null];
      expect(code, output).toBe(0);
      return output;
    };

    beforeAll(async () => {
      cluster = await LocalCluster.start({});
      for (const name of ['bin', 'priors']) mkdirSync(join(folder, name));
      writeFileSync(
        join(folder, 'bin', 'ballast'),
        `#!/bin/sh\nexec node ${packageRoot()}/dist/bundle/cli/main.js "$@"\n`,
        { mode: 0o755 },
      );
      cpSync(join(packageRoot(), 'k8s'), join(folder, 'k8s'), { recursive: true });
      const object = join(folder, 'k8s/synthesis-run.yaml');
      writeFileSync(object, await shortened(readFileSync(object, 'utf8')));
      cpSync(await shapesData(), join(folder, 'photos'), { recursive: true });
      cpSync(dirname(await shapesPrior()), join(folder, 'priors/photos'), { recursive: true });
    }, 20 * MINUTES);

    afterAll(async () => {
      await cluster?.stop();
      rmSync(folder, { recursive: true });
    }, 5 * MINUTES);

    it(
      'installs, copies data in, and makes a model, by the API and by an object',
      async () => {
        const [config] = blocks('yaml') as [string];
        writeFileSync(join(folder, 'photos.yaml'), await shortened(config));
        const output = await run(blocks('sh').join('\n'));
        expect(statSync(join(folder, 'photos.safetensors')).size).toBeGreaterThan(1000);
        expect(output).toContain('synthesisrun.ballast.internal/photos condition met');
      },
      40 * MINUTES,
    );
  },
);
