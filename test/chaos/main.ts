/** `npm run chaos -- --minutes N --seed S`: schedule after schedule, a line each, until one breaks a promise. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { EPOCHS, TinyRun } from '../support/tiny-run.ts';
import { type Outcome, runSchedule } from './run-schedule.ts';
import { describe, scheduleOf } from './schedule.ts';

const { values } = parseArgs({
  options: {
    /** At least one schedule is run. */
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
  },
});

function summarize(outcomes: readonly Outcome[], minutes: number): string {
  const totals = new Map<string, number>();
  for (const { survived } of outcomes)
    for (const [name, count] of survived) totals.set(name, (totals.get(name) ?? 0) + count);
  const resumes = outcomes.reduce((sum, outcome) => sum + outcome.resumes, 0);
  const parts = [...totals].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, count]) => `${count} × ${name}`);
  return `${outcomes.length} runs in ${minutes.toFixed(1)} minutes, resumed ${resumes} times; survived: ${parts.join(', ')}`;
}

async function chaos(minutes: number, firstSeed: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'ballast-chaos-'));
  process.env['BALLAST_GRAPH_CACHE'] = join(folder, 'graphs'); // processes of the runs inherit it
  const tiny = new TinyRun(folder);
  const reference = await tiny.reference();
  const startMs = performance.now();
  const passedMinutes = () => (performance.now() - startMs) / 60_000;
  const outcomes: Outcome[] = [];
  for (let seed = firstSeed; outcomes.length === 0 || passedMinutes() < minutes; seed++) {
    const schedule = scheduleOf(seed, EPOCHS);
    const at = join(folder, `seed-${seed}`);
    mkdirSync(at);
    const outcome = await runSchedule(schedule, tiny, reference, at);
    outcomes.push(outcome);
    const { skipped, violations, seconds } = outcome;
    const word = violations.length === 0 ? 'ok' : 'BROKEN';
    const notes = skipped.length === 0 ? '' : ` (skipped: ${skipped.join('; ')})`;
    console.log(`seed ${seed}: ${describe(schedule)}: ${word}, ${seconds.toFixed(1)} s${notes}`);
    if (violations.length > 0) {
      for (const line of violations) console.log(`  ${line}`);
      console.log(`The folder is ${at}. Again: npm run chaos -- --minutes 0 --seed ${seed}`);
      console.log(summarize(outcomes.slice(0, -1), passedMinutes()));
      return 1;
    }
    rmSync(at, { recursive: true });
  }
  console.log(summarize(outcomes, passedMinutes()));
  rmSync(folder, { recursive: true });
  return 0;
}

process.exitCode = await chaos(Number(values.minutes), Number(values.seed));
