/**
 * Measures how synthesis scales over cores: two processes that sample, one thread each, against one of them alone, in
 * turns.
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { answerOf } from './child-answer.ts';
import { guidedSampling } from './compute-cases.ts';
import type { ComputeRow } from './compute-row.ts';
import { median } from './statistics.ts';

const PROCESS = fileURLToPath(new URL('./sampling-process.js', import.meta.url));
const BATCHES = 3;

/** The row's `theirs` is one process alone, and its ratio the speed of two relative to it; 2 is linear. */
export async function measureTwoWorkers(rounds: number, peak: number): Promise<ComputeRow> {
  const start = performance.now();
  const children = [fork(PROCESS), fork(PROCESS)] as const;
  try {
    const [flops] = await Promise.all(children.map((child) => answerOf<number>(child)));
    const compileSeconds = (performance.now() - start) / 1000;
    const alone: number[] = [];
    const together: number[] = [];
    for (let round = 0; round < rounds; round++) {
      alone.push(await rateOf([children[round % 2]!]));
      together.push(await rateOf(children));
    }
    const ratios = together.map((rate, i) => rate / alone[i]!);
    return {
      metric: 'guided-sampling-two-workers',
      ours: median(together),
      theirs: median(alone),
      unit: 'images/s',
      peer: 'one worker',
      ratio: median(ratios),
      spread: [Math.min(...ratios), Math.max(...ratios)],
      peakShare: ((flops! / guidedSampling.units) * median(together)) / (2 * peak),
      compileSeconds,
    };
  } finally {
    for (const child of children) child.kill();
  }
}

/** Images per second of the children working at the same time: the sum of their rates. */
async function rateOf(children: readonly ChildProcess[]): Promise<number> {
  const rates = children.map(async (child) => {
    let seconds = 0;
    for (let i = 0; i < BATCHES; i++) {
      const answered = answerOf<number>(child);
      child.send('run');
      seconds += await answered;
    }
    return (BATCHES * guidedSampling.units) / seconds;
  });
  return (await Promise.all(rates)).reduce((sum, rate) => sum + rate, 0);
}
