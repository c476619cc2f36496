import { plainText } from '../../common/plain-text.ts';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { formatProgress, progressLine } from './progress-line.ts';
import type { RunEvent } from '../records.ts';
import { advance, noProgress, secondsLeft } from './run-progress.ts';
import { runFrame } from './frame.ts';
import { bar, displayWidth, fitColumns, padColumns, painter, wantsColour } from './text.ts';
import { terminalView } from './view.ts';
import { fakeRunReport } from '../testing/fake-records.ts';

const REPORT = fakeRunReport();
const plain = painter(false);
const STARTED: RunEvent = {
  type: 'started',
  method: 'iois',
  seed: 1,
  classes: ['cat', 'dog'],
  classCounts: [2000, 20],
  epochs: 4,
  firstEpoch: 1,
  runDir: 'runs/x',
};
const QUOTA: RunEvent = { type: 'quota', epoch: 1, accuracy: [0.75, 0.25], quota: [10, 40] };
const SYNTHESIS: RunEvent = { type: 'synthesis', epoch: 1, done: 25, total: 50, imagesPerSecond: 12.34 };
const TRAINING: RunEvent = { type: 'training', epoch: 1, step: 3, steps: 12, loss: NaN };
const DEAD: RunEvent = {
  type: 'actor',
  actor: 'worker-1',
  state: 'dead',
  reason: 'killed\u001b[31m by\nSIGKILL',
};

function epochEvent(epoch: number): RunEvent {
  return { type: 'epoch', record: REPORT.epochs[epoch - 1]! };
}

function collector(columns?: number): {
  write: (text: string) => void;
  text: () => string;
  clear: () => void;
  columns?: number;
} {
  let written = '';
  return {
    write: (text) => void (written += text),
    text: () => written,
    clear: () => (written = ''),
    ...(columns === undefined ? {} : { columns }),
  };
}

/** The content of the screen after `written`: cursor-up and erase sequences applied, colours dropped. */
function screen(written: string): string[] {
  const lines: string[] = [''];
  let row = 0;
  for (const token of written.match(/\u001b\[[?\d;]*[A-Za-z]|\n|\r|[^\u001b\n\r]+/g) ?? []) {
    if (token === '\n') lines[++row] ??= '';
    else if (token.endsWith('A') && token.startsWith('\u001b')) row -= Number(token.slice(2, -1));
    else if (token === '\u001b[J') lines.length = row + 1;
    else if (token === '\u001b[K' || token === '\r' || token.startsWith('\u001b')) continue;
    else lines[row] = token;
  }
  return lines;
}

let nowMs = 0;
const clock = (): number => nowMs;

beforeEach(() => {
  nowMs = 0;
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('text: control characters go, wide characters count twice, bars fill by eighths', () => {
  expect(plainText('a\u001b[2Jb\nc')).toBe('ab c');
  expect([displayWidth('漢字a'), displayWidth('é'), displayWidth('e\u0301')]).toEqual([5, 1, 1]);
  expect([fitColumns('漢字ab', 4), padColumns('ab', 4, 'left'), padColumns('abcdef', 4)]).toEqual([
    '漢…',
    '  ab',
    'abc…',
  ]);
  expect([bar(0.5, 4), bar(1 / 16, 4, '░'), bar(NaN, 2), bar(7, 2)]).toEqual(['██  ', '▎░░░', '  ', '██']);
});

test('colours: on a terminal only, and not under NO_COLOR or on a dumb one', () => {
  expect(wantsColour(true, {})).toBe(true);
  expect([
    wantsColour(false, {}),
    wantsColour(true, { NO_COLOR: '1' }),
    wantsColour(true, { TERM: 'dumb' }),
  ]).toEqual([false, false, false]);
  expect(painter(true)('red', 'x')).toBe('\u001b[31mx\u001b[0m');
});

test('a frame, line by line', () => {
  const events = [STARTED, QUOTA, SYNTHESIS, TRAINING, DEAD];
  const progress = events.reduce((state, event) => advance(state, event, 1000), noProgress(0));
  expect(runFrame(progress, { columns: 60, rows: 24 }, plain, 3500)).toEqual([
    'iois, seed 1: epoch 1 of 4, 2.5 s',
    'epochs     ░░░░░░░░░░░░░░░░░░░░░░░░ 0/4',
    'synthesis  ████████████░░░░░░░░░░░░ 25/50  12.3 images/s',
    'training   ██████░░░░░░░░░░░░░░░░░░ 3/12  loss –',
    'class    real  accuracy                quota',
    'cat     2,000  ███████████▎     75.0%  ███▊               10',
    'dog        20  ███▊             25.0%  ███████████████    40',
    'worker-1 dead: killed by SIGKILL',
  ]);
});

test('preparation is shown before the start, beside the epoch, and as a plain line every ten seconds', () => {
  const decoding: RunEvent = {
    type: 'preparation',
    activity: 'decoding',
    done: 200,
    total: 1000,
    seconds: 4,
  };
  const size = { columns: 60, rows: 24 };
  let progress = advance(noProgress(0), decoding, 4000);
  expect(runFrame(progress, size, plain, 4000)).toEqual([
    'decoding   ████▊░░░░░░░░░░░░░░░░░░░ 200/1,000  50 images/s…',
  ]);
  expect(runFrame(progress, { ...size, columns: 90 }, plain, 4000)[0]).toContain('50 images/s, 16 s left');
  progress = advance(progress, STARTED, 5000);
  const labelling: RunEvent = { type: 'preparation', activity: 'labelling', done: 10, total: 40, seconds: 5 };
  progress = advance(progress, labelling, 6000);
  expect(runFrame(progress, size, plain, 6000)[2]).toMatch(/^labelling .* 10\/40 {2}2.00 steps\/s/);
  progress = advance(progress, TRAINING, 7000);
  expect(runFrame(progress, size, plain, 7000).join()).not.toContain('labelling');

  const out = collector();
  const view = terminalView(out, { isTTY: false, columns: 80, clock });
  for (nowMs = 0; nowMs <= 25_000; nowMs += 1000)
    view.onEvent({ ...decoding, done: nowMs / 100, seconds: nowMs / 1000 });
  expect(out.text()).toBe(
    'decoding: 100/1,000 images, 10 images/s, 1 min 30 s left\n' +
      'decoding: 200/1,000 images, 10 images/s, 1 min 20 s left\n',
  );
});

test('every frame fits its size, with a hundred classes of long names too', () => {
  const classes = Array.from({ length: 100 }, (_, index) => `class number ${index} 漢字`);
  const started: RunEvent = { ...STARTED, classes, classCounts: classes.map((_, index) => index + 1) };
  const events = [
    started,
    epochEvent(1),
    { ...QUOTA, epoch: 2, accuracy: classes.map(() => 0.5), quota: classes.map(() => 3) },
    DEAD,
  ];
  const progress = events.reduce((state, event) => advance(state, event, 1000), noProgress(0));
  for (const columns of [20, 39, 79, 200]) {
    const lines = runFrame(progress, { columns, rows: 14 }, plain, 3000);
    expect(lines.length).toBeLessThanOrEqual(14);
    expect(Math.max(...lines.map(displayWidth))).toBeLessThanOrEqual(columns);
  }
});

test('time left: two epochs of 10 s and 20 s, 5 s into the third of four, leave 10 + 15 s', () => {
  let progress = advance(noProgress(0), STARTED, 0);
  expect(secondsLeft(progress, 100)).toBeNull();
  progress = advance(progress, epochEvent(1), 10_000);
  progress = advance(progress, epochEvent(2), 30_000);
  expect(secondsLeft(progress, 35_000)).toBe(25);
});

test('on a TTY it redraws in place at most ten times a second, and gives the cursor back', () => {
  const out = collector(81);
  const view = terminalView(out, { isTTY: true, columns: 80, clock, colour: false });
  view.onEvent(STARTED);
  expect(out.text().startsWith('\u001b[?25l')).toBe(true);
  const before = out.text().length;
  for (let step = 1; step <= 50; step++)
    view.onEvent({ type: 'training', epoch: 1, step, steps: 60, loss: 0.5 });
  expect(out.text().length).toBe(before);
  nowMs = 100;
  vi.advanceTimersByTime(100);
  const shown = screen(out.text());
  expect(shown[0]).toBe('iois, seed 1: epoch 1 of 4, 0.1 s');
  expect(shown.filter((text) => text.startsWith('training'))).toHaveLength(1);
  expect(shown[2]).toContain('50/60  loss 0.500');
  view.onEvent({ type: 'finished', report: REPORT });
  expect(out.text()).toContain('\u001b[?25h');
  expect(screen(out.text()).at(-2)).toMatch(/^iois finished: balanced accuracy \d\d\.\d%, accuracy/);
  view.close();
  const length = out.text().length;
  vi.advanceTimersByTime(10_000);
  expect(out.text().length).toBe(length);
});

test('closing without an end gives the cursor back once', () => {
  const out = collector();
  const listeners = process.listenerCount('exit');
  const view = terminalView(out, { isTTY: true, columns: 80, clock, colour: true });
  view.onEvent(STARTED);
  view.close();
  view.close();
  expect(out.text().split('\u001b[?25h')).toHaveLength(2);
  expect(process.listenerCount('exit')).toBe(listeners);
});

test('elsewhere: a line per epoch and per notable event, nothing else', () => {
  const out = collector();
  const view = terminalView(out, { isTTY: false, columns: 80, clock });
  for (const event of [
    STARTED,
    QUOTA,
    SYNTHESIS,
    TRAINING,
    DEAD,
    { ...DEAD, state: 'ready' },
    epochEvent(1),
  ] as const)
    view.onEvent(event);
  view.onEvent({ type: 'cancelled', epoch: 2 });
  view.close();
  expect(
    out
      .text()
      .split('\n')
      .map((text) => text.split(/, (?=fid)/)[0]),
  ).toEqual([
    'iois seed 1: 2 classes, 2,020 training images, 4 epochs; run folder runs/x',
    'worker-1 dead: killed by SIGKILL',
    expect.stringMatching(/^epoch 1\/4: loss \d\.\d{3}, balanced accuracy \d\d\.\d% \(validation\)$/),
    'stopped in epoch 2; finished epochs are kept, and --resume continues from them',
    '',
  ]);
});

test('progress of one job: the line as text, and the rate from the clock', () => {
  const facts = { label: 'prior', done: 1500, total: 3000, unit: 'steps', rate: 12.5, loss: 0.04123 };
  expect(formatProgress(facts, 90, plain)).toBe(
    'prior ████████████████░░░░░░░░░░░░░░░░ 1,500/3,000 steps, 13 steps/s, loss 0.0412, 2 min 00 s left'.replace(
      '████████████████░░░░░░░░░░░░░░░░',
      bar(0.5, 23, '░'),
    ),
  );
  expect(formatProgress({ ...facts, rate: null, loss: null }, 24, plain)).toBe('prior: 1,500/3,000 step…');
  const out = collector();
  const line = progressLine(out, {
    isTTY: false,
    columns: 80,
    clock,
    label: 'prior',
    total: 400,
  });
  for (const done of [100, 200, 300, 400]) {
    line.update(done, 0.5);
    nowMs += 20_000;
  }
  line.close();
  expect(out.text().split('\n')).toEqual([
    expect.stringContaining('100/400 steps, loss 0.5000'),
    expect.stringContaining('200/400 steps, 5.00 steps/s, loss 0.5000, 40 s left'),
    expect.stringContaining('300/400 steps, 5.00 steps/s, loss 0.5000, 20 s left'),
    expect.stringContaining('400/400 steps, 5.00 steps/s, loss 0.5000'),
    '',
  ]);
});

test('unreadable images and doubts about the data are reported before the run begins', () => {
  for (const isTTY of [false, true]) {
    const out = collector();
    const view = terminalView(out, { isTTY, columns: 80, clock });
    const skipped = Array.from({ length: 7 }, (_, i) => `disc/${i}.jpg: cut off`);
    view.onEvent({ type: 'data', skipped, warnings: ['test has no image of disc'] });
    expect(out.text()).toContain('skipped 7 images that cannot be read: disc/0.jpg: cut off; ');
    expect(out.text()).toContain('disc/4.jpg: cut off; and 2 more; warning: test has no image of disc\n');
    view.close();
  }
});
