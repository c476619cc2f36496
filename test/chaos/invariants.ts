/** The invariants of an ended run, whatever happened to it. Each violation is one line. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { EpochRecord } from '../../report/records.ts';
import { actorsOf } from '../support/processes.ts';
import { BUDGET, EPOCHS, jsonLines, readMetrics, readReport } from '../support/tiny-run.ts';

const SHARED_MEMORY = '/dev/shm';
/** Processes whose command is gone end within a second. */
const END_MS = 5000;

/** Compares with the undisturbed run; `commandPids` are the processes whose nodes worked on this run. */
export async function violations(
  dir: string,
  referenceDir: string,
  commandPids: readonly number[],
): Promise<string[]> {
  const orphans = await orphansOf(dir);
  const checks = [
    () => orphans,
    () => sameResult(dir, referenceDir),
    () => countedOnce(dir),
    () => commitsAndFolders(dir),
    () => events(dir),
    () => leftovers(dir, referenceDir, commandPids),
  ];
  return checks.flatMap((check) => {
    try {
      return check();
    } catch (thrown) {
      return [String(thrown)];
    }
  });
}

/** Actor processes of the run that do not end by themselves. */
export async function orphansOf(dir: string): Promise<string[]> {
  for (const deadline = Date.now() + END_MS; actorsOf(dir).length > 0 && Date.now() < deadline;)
    await delay(50);
  return actorsOf(dir).map(({ actorId, pid }) => `${actorId} (process ${pid}) was left behind`);
}

function sameResult(dir: string, referenceDir: string): string[] {
  const [own, reference] = [readReport(dir), readReport(referenceDir)];
  const model = (at: string) => readFileSync(join(at, 'model', 'model.safetensors'));
  const metrics = (at: string) => JSON.stringify(readMetrics(at).map(withoutRedone));
  return [
    ...(own.weightsDigest === reference.weightsDigest ? [] : ['the final weights differ']),
    ...(model(dir).equals(model(referenceDir)) ? [] : ['model.safetensors differs']),
    ...(metrics(dir) === metrics(referenceDir) ? [] : ['metrics.jsonl differs']),
    ...(JSON.stringify(own.test) === JSON.stringify(reference.test) ? [] : ['test metrics differ']),
  ];
}

function withoutRedone({ shardsRedone: _redone, ...record }: Partial<EpochRecord>) {
  return record;
}

/** The images of every epoch, in the report as in the metrics. */
function countedOnce(dir: string): string[] {
  const { epochs, syntheticImages } = readReport(dir);
  const images = epochs.map((record) => `${record.epoch}:${record.syntheticImages}`).join(' ');
  const expected = Array.from({ length: EPOCHS }, (_, i) => `${i + 1}:${BUDGET}`).join(' ');
  return [
    ...(images === expected ? [] : [`images by epoch are ${images}, not ${expected}`]),
    ...(syntheticImages === EPOCHS * BUDGET ? [] : [`the report counts ${syntheticImages} images`]),
  ];
}

/** A commit for each epoch, the folders of the last two, and no other. */
function commitsAndFolders(dir: string): string[] {
  const at = join(dir, 'checkpoints');
  const names = readdirSync(at).sort();
  const commits = names.filter((name) => /^epoch-\d+\.json$/.test(name));
  const committed = commits.map(
    (name) => (JSON.parse(readFileSync(join(at, name), 'utf8')) as { folder: string }).folder,
  );
  const expected = [...commits, ...committed.slice(-2), 'holder.json'].sort();
  return [
    ...(commits.length === EPOCHS ? [] : [`${commits.length} epochs are committed`]),
    ...(names.join() === expected.join() ? [] : [`checkpoints/ holds ${names.join(', ')}`]),
  ];
}

/** Whole lines, numbered without a gap; each epoch's end reported once, in order. */
function events(dir: string): string[] {
  type Line = { sequence: number; topic: string; payload: { epoch?: number } };
  const lines = jsonLines<Line>(readFileSync(join(dir, 'events.jsonl'), 'utf8'));
  const gap = lines.findIndex(({ sequence }, i) => sequence !== i + 1);
  const ends = lines
    .filter(({ topic }) => topic === 'epoch.finished')
    .map(({ payload }) => payload.epoch ?? 0);
  const isInOrder = ends.every((epoch, i) => i === 0 || epoch > ends[i - 1]!);
  return [
    ...(gap === -1 ? [] : [`events.jsonl: line ${gap + 1} has number ${lines[gap]!.sequence}`]),
    ...(isInOrder ? [] : [`events.jsonl tells the ends of epochs ${ends.join(', ')}`]),
  ];
}

/** Files that no undisturbed run leaves, and objects in shared memory. */
function leftovers(dir: string, referenceDir: string, commandPids: readonly number[]): string[] {
  const expected = new Set(readdirSync(referenceDir));
  const files = readdirSync(dir).filter((name) => !expected.has(name));
  const temporary = (readdirSync(dir, { recursive: true }) as string[]).filter((name) =>
    name.endsWith('.tmp'),
  );
  return [
    ...[...new Set([...files, ...temporary])].map((name) => `${name} was left in the run folder`),
    ...sharedMemoryOf(commandPids).map((name) => `${SHARED_MEMORY}/${name} was left behind`),
  ];
}

/** Object stores in shared memory of the nodes of these processes. */
function sharedMemoryOf(pids: readonly number[]): string[] {
  if (!existsSync(SHARED_MEMORY)) return [];
  return readdirSync(SHARED_MEMORY).filter((name) => {
    if (!name.startsWith('ballast-')) return false;
    try {
      const owner = JSON.parse(readFileSync(join(SHARED_MEMORY, name, 'owner.json'), 'utf8')) as {
        pid: number;
      };
      return pids.includes(owner.pid);
    } catch {
      return false; // another node's, that comes or goes at this moment
    }
  });
}
