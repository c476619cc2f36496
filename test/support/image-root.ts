/**
 * The steps of the Dockerfile without a container engine: the build context as .dockerignore leaves it, the build, the
 * folder that scripts/image-root.sh makes, and a root that holds that folder, Node and this machine's libraries (in
 * place of the base image's), all mounted read-only, entered as the image's user without privileges. Root only, on Linux.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../common/package-root.ts';
import { imageConfig, readStages } from './k8s/dockerfile.ts';
import { descendantsOf } from '../../common/process-tree.ts';

/** Why no root can be entered here; null where it can. */
export function whyNotEntered(): string | null {
  if (process.getuid?.() !== 0) return 'only root may';
  const { status } = spawnSync('unshare', [
    '--mount',
    '--pid',
    '--fork',
    'mount',
    '-t',
    'tmpfs',
    'none',
    '/mnt',
  ]);
  return status === 0 ? null : 'this machine lets nobody mount';
}

/** Copies what `COPY . .` would see to `target`. */
export function copyContext(target: string): void {
  const root = packageRoot();
  const rules = readFileSync(join(root, '.dockerignore'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  /** The last rule that matches the path or a folder above it decides. */
  const isKept = (path: string): boolean => {
    const above = path.split('/').map((_, index, parts) => parts.slice(0, index + 1).join('/'));
    const last = rules.findLast((rule) => above.some((part) => matches(part, rule.replace(/^!/, ''))));
    return last === undefined || last.startsWith('!');
  };
  const walk = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (['.git', 'node_modules', 'dist'].includes(entry.name)) continue; // large, and all of it ignored
      if (entry.isDirectory()) walk(path);
      else if (isKept(path)) cpSync(join(root, path), join(target, path));
    }
  };
  walk('');
}

/** Of Docker's patterns those that we use: `*` within a name, and `**\/` for any folders above. */
function matches(path: string, pattern: string): boolean {
  const parts = pattern.split(/(\*\*\/|\*)/).map((part) => {
    if (part === '**/') return '(?:.*/)?';
    return part === '*' ? '[^/]*' : part.replace(/[.+?^${}()|[\]\\]/g, '\\$&');
  });
  return new RegExp(`^${parts.join('')}$`).test(path);
}

/** Runs the RUN lines of a stage that call our own programs, with `folder` for where the stage works. */
export function runStage(name: string, folder: string, replace: Readonly<Record<string, string>> = {}): void {
  for (const { instruction, text } of readStages().get(name)?.steps ?? []) {
    if (instruction !== 'RUN' || text.startsWith('apt-get') || text === 'npm ci') continue;
    const command = Object.entries(replace).reduce((moved, [from, to]) => moved.replaceAll(from, to), text);
    execFileSync('sh', ['-ec', command], { cwd: folder, stdio: 'pipe' });
  }
}

/** The packages that `npm ci` would install for the build: those that are here. */
export function linkPackages(folder: string): void {
  symlinkSync(join(packageRoot(), 'node_modules'), join(folder, 'node_modules'));
}

/** Enters the root, after mounting the folders that it needs in addition to /opt/ballast. */
const ENTER = `
set -e
mount --bind "$ROOT" "$ROOT"
mkdir -p "$ROOT/proc" "$ROOT/dev" "$ROOT/tmp"
for folder in lib lib64 usr/lib; do
  [ -e "/$folder" ] || continue
  mkdir -p "$ROOT/$folder"
  mount --bind "/$folder" "$ROOT/$folder"
  mount -o remount,bind,ro "$ROOT/$folder"
done
mount -t proc proc "$ROOT/proc"
mount -t tmpfs -o mode=755 dev "$ROOT/dev"
for device in null zero urandom random; do
  touch "$ROOT/dev/$device"
  mount --bind "/dev/$device" "$ROOT/dev/$device"
done
for path in /tmp /dev/shm $WRITABLE; do
  mkdir -p "$ROOT$path"
  mount -t tmpfs -o mode=1777 tmp "$ROOT$path"
done
mount -o remount,bind,ro "$ROOT"
exec setpriv --no-new-privs unshare --root="$ROOT" --wd=/tmp --setgid="$GID" --setuid="$UID_" -- "$@"
`;

export class ImageRoot {
  readonly #root: string;
  readonly #writable: readonly string[];

  /** `root` has /opt/ballast; `writable` are the folders that a manifest would mount. */
  constructor(root: string, writable: readonly string[]) {
    this.#root = root;
    this.#writable = writable;
    const bin = join(root, 'usr', 'local', 'bin');
    mkdirSync(bin, { recursive: true });
    cpSync(process.execPath, join(bin, 'node'));
    const tini = ['/usr/bin/tini-static', '/usr/bin/tini'].find((path) => existsSync(path));
    if (tini !== undefined) cpSync(tini, join(bin, 'tini')); // without it the program is process 1 itself
    this.hasTini = tini !== undefined;
    symlinkSync('/opt/ballast/dist/bundle/cli/main.js', join(bin, 'ballast'));
    mkdirSync(join(root, 'usr', 'bin'), { recursive: true });
    cpSync('/usr/bin/env', join(root, 'usr', 'bin', 'env')); // the base image has it; our command begins with it
  }

  readonly hasTini: boolean;

  /** The image's entry point with `args`, as process 1 of its own, or another command. */
  start(target: string, args: readonly string[], command?: readonly string[]): EnteredProcess {
    const { entrypoint, user, environment } = imageConfig(readStages(), target);
    const [uid = '', gid = ''] = user.split(':');
    const own = this.hasTini ? entrypoint : entrypoint.slice(entrypoint.indexOf('--') + 1);
    const child = spawn(
      'unshare',
      ['--mount', '--pid', '--fork', 'sh', '-c', ENTER, 'enter', ...(command ?? own), ...args],
      {
        env: {
          ...environment,
          ...{ PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin' },
          ...{ ROOT: this.#root, WRITABLE: this.#writable.join(' '), UID_: uid, GID: gid },
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    return new EnteredProcess(child);
  }
}

export class EnteredProcess {
  output = '';
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;

  constructor(child: ChildProcess) {
    this.#child = child;
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    this.ended = once(child, 'close').then(([code]) => code as number | null);
  }

  /** Process 1 within, by the number that it has outside. */
  get pid(): number {
    const [first] = descendantsOf(this.#child.pid!).slice(-1);
    if (first === undefined) throw new Error(`nothing runs within\n${this.output}`);
    return first;
  }

  kill(): void {
    for (const pid of descendantsOf(this.#child.pid!)) process.kill(pid, 'SIGKILL');
  }
}
