/**
 * The images that the chart's pods name, out of the folder that `make images` makes: there is no registry. Ballast's own has its
 * entry point; NATS's is the same root with this machine's nats-server in it, those of operators have programs of build.sh, Debian's
 * and the sandbox's are just the root.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { SERVERS } from '../../support/k8s/control-plane.ts';
import { imageConfig, readStages } from '../../support/k8s/dockerfile.ts';
import { PINS } from '../../support/k8s/modules.ts';
import { IMAGE_ROOT } from '../../support/k8s/runc.ts';
import { natsProgram } from '../../support/nats.ts';

/** The image that containerd starts to hold a pod's namespaces. */
export const SANDBOX = 'ballast.test/sandbox:1';

/** Every image of Debian's family has it. */
const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

interface Config {
  readonly Entrypoint?: readonly string[];
  readonly Env?: readonly string[];
  readonly User?: string;
}

/** An image of one program of build.sh. */
export interface ProgramImage {
  readonly name: string;
  readonly program: string;
  readonly path: string;
}

/** Makes a folder whose content, as a tar, is what `docker save` gives, and `ctr images import` reads. */
export async function writeImages(folder: string, programs: readonly ProgramImage[]): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const nats = realpathSync(which(natsProgram));
  const root = await layer(folder, 'root.tar', ['-C', IMAGE_ROOT, '.']);
  const server = await programLayer(folder, nats, '/usr/local/bin/nats-server');
  const { entrypoint, environment, user } = imageConfig(readStages(), 'ballast');
  const own = {
    Entrypoint: entrypoint,
    Env: Object.entries(environment).map((pair) => pair.join('=')),
    User: user,
  };
  const images = [
    image(folder, `docker.io/ballast/ballast:${PINS['BALLAST']}`, [root], own),
    image(folder, `docker.io/library/${PINS['NATS_IMAGE']}`, [root, server], {}),
    image(folder, `docker.io/library/${PINS['DEBIAN_IMAGE']}`, [root], {}),
    image(folder, SANDBOX, [root], { Entrypoint: ['sleep', 'infinity'] }),
  ];
  for (const { name, program, path } of programs) {
    const layers = [root, await programLayer(folder, join(SERVERS, program), path)];
    images.push(image(folder, name, layers, { Entrypoint: [path], User: user }));
  }
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(images));
}

interface Layer {
  readonly file: string;
  readonly digest: string;
}

/** A layer of one program. */
function programLayer(folder: string, program: string, path: string): Promise<Layer> {
  const what = ['--transform', `s,.*,${path.slice(1)},`, '-C', dirname(program), basename(program)];
  return layer(folder, `${basename(path)}.tar`, what);
}

async function layer(folder: string, file: string, what: readonly string[]): Promise<Layer> {
  execFileSync('tar', ['--numeric-owner', '-cf', join(folder, file), ...what]);
  const hash = createHash('sha256');
  await pipeline(createReadStream(join(folder, file), { highWaterMark: 2 ** 20 }), hash);
  return { file, digest: `sha256:${hash.digest('hex')}` };
}

function image(folder: string, name: string, layers: readonly Layer[], config: Config): object {
  const file = `${name.replace(/\W/g, '-')}.json`;
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
  const all = { ...config, Env: [PATH, ...(config.Env ?? [])] };
  const rootfs = { type: 'layers', diff_ids: layers.map(({ digest }) => digest) };
  writeFileSync(join(folder, file), JSON.stringify({ architecture, os: 'linux', config: all, rootfs }));
  return { Config: file, RepoTags: [name], Layers: layers.map((one) => one.file) };
}

function which(program: string): string {
  return execFileSync('sh', ['-c', 'command -v "$0"', program], { encoding: 'utf8' }).trim();
}
