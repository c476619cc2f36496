/** The head of a run: what it is, how it goes, its result in numbers, and its curves. */
import { count, decimal, duration, NO_VALUE, percent, plural } from '../../../report/format.ts';
import { runCharts } from '../../../report/charts/run-charts.ts';
import type { RunFacts, RunState } from '../../model/run-model.ts';
import { type ChartBox, chartBox } from '../chart-box.ts';
import { button, h, replace, section, setText, table } from '../dom.ts';
import type { RunStore } from '../run-store.ts';
import type { View } from './view.ts';

const STATE_WORDS: Readonly<Record<RunState, string>> = {
  queued: 'waiting',
  running: 'running',
  stopped: 'stopped',
  succeeded: 'finished',
  cancelled: 'cancelled',
  failed: 'failed',
};

export function statePill(state: RunState): HTMLElement {
  return h('span', { class: `pill ${state}` }, STATE_WORDS[state]);
}

/** The result, or how far it is, in one sentence. */
export function runSentence({ facts, epochs, evaluation }: RunStore): string {
  if (facts === null) return '';
  const done = epochs.epoch.at(-1) ?? 0;
  const of = facts.plannedEpochs === null || facts.state === 'succeeded' ? '' : ` of ${facts.plannedEpochs}`;
  const effort = `${count(done)}${of} ${done === 1 && of === '' ? 'epoch' : 'epochs'}`;
  const made = epochs.syntheticImages.reduce<number>((sum, images) => sum + (images ?? 0), 0);
  const images = made > 0 ? `, with ${plural(made, 'synthetic image')}` : '';
  const balanced = evaluation?.scalars['balancedAccuracy'];
  if (evaluation === null || typeof balanced !== 'number')
    return `${effort} so far${images}; not evaluated yet.`;
  const verb = facts.state === 'succeeded' ? 'reached' : 'is at';
  return `${facts.method} ${verb} a balanced accuracy of ${percent(balanced)} on ${evaluation.split} after ${effort}${images}.`;
}

/** 'From 2,000 (T-shirt/top) down to 20 (Ankle boot), 100 to 1.' */
export function dataSentence(classes: readonly string[], counts: readonly number[]): string {
  const total = counts.reduce((sum, images) => sum + images, 0);
  const begin = `${plural(classes.length, 'class')}, ${count(total)} training images`;
  const most = counts.reduce((a, b) => Math.max(a, b), 0);
  const least = counts.reduce((a, b) => Math.min(a, b), Infinity);
  if (!(least > 0) || total === 0 || least === Infinity) return classes.length === 0 ? '' : `${begin}.`;
  if (most === least) return `${begin}, ${count(most)} of each class.`;
  const name = (images: number) => classes[counts.indexOf(images)] ?? '?';
  const ratio = most / least;
  return `${begin}: from ${count(most)} (${name(most)}) down to ${count(least)} (${name(least)}), ${ratio >= 10 ? count(ratio) : ratio.toFixed(1)} to 1.`;
}

function tilesOf(store: RunStore): HTMLElement[] {
  const { evaluation, epochs, facts } = store;
  const scalar = (name: string) => evaluation?.scalars[name];
  const recalls = (evaluation?.perClassRecall ?? []).filter((value) => value !== null);
  const worst = recalls.length === 0 ? null : recalls.reduce((a, b) => Math.min(a, b));
  const entries: [string, string][] = [
    ['balanced accuracy', percent(scalar('balancedAccuracy'))],
    ['accuracy', percent(scalar('accuracy'))],
    ['few-shot recall', percent(scalar('fewShotRecall'))],
    ['worst class', percent(worst)],
    ['macro F1', decimal(scalar('macroF1'))],
    ['class fidelity', percent(epochs.fidelity.findLast((value) => value !== null))],
    ['time', duration(facts?.seconds ?? elapsed(store))],
  ];
  return entries
    .filter(([, value]) => value !== NO_VALUE)
    .map(([label, value]) => h('div', { class: 'tile' }, h('dt', {}, label), h('dd', {}, value)));
}

function elapsed({ facts, epochs }: RunStore): number | null {
  if (facts?.state === 'running' && facts.startedAt !== null)
    return (Date.now() - Date.parse(facts.startedAt)) / 1000;
  const seconds = [...epochs.synthesisSeconds, ...epochs.trainSeconds, ...epochs.evaluateSeconds];
  return seconds.length === 0 ? null : seconds.reduce<number>((sum, value) => sum + (value ?? 0), 0);
}

/** Actions that the token allows; each says what it does and is asked for again where it cannot be undone. */
export interface RunButtons {
  readonly cancel: () => void;
  readonly resume: () => void;
  readonly remove?: () => void;
}

/** The head without its facts, and the places where they stand. */
function headerParts() {
  const title = h('h1');
  const pill = h('span');
  const lead = h('p', { class: 'lead' });
  const data = h('p', { class: 'note' });
  const reason = h('p', { class: 'reason', role: 'status' });
  const bar = h('progress', { max: 1, 'aria-label': 'progress of the run' });
  const doing = h('p', { class: 'note doing' });
  const actions = h('div', { class: 'actions' });
  const tiles = h('dl', { class: 'tiles' });
  const element = h(
    'header',
    { class: 'run-head' },
    h('div', { class: 'title' }, title, pill, actions),
    lead,
    reason,
    data,
    bar,
    doing,
    tiles,
  );
  return { element, title, pill, lead, data, reason, bar, doing, actions, tiles };
}

export function headerView(store: RunStore, buttons: RunButtons | null): View {
  const parts = headerParts();
  const { bar, doing } = parts;
  let offered: RunState | null = null;
  return {
    element: parts.element,
    reads: ['facts', 'epochs', 'progress'],
    update() {
      const { facts, progress } = store;
      if (facts === null) return;
      setText(parts.title, facts.seed === null ? facts.name : `${facts.method}, seed ${facts.seed}`);
      replace(parts.pill, statePill(facts.state));
      setText(parts.lead, runSentence(store));
      setText(parts.data, dataSentence(facts.classes, facts.classCounts));
      setText(parts.reason, doubtsText(facts.doubts) + reasonText(facts));
      const share = shareDone(store);
      bar.hidden = share === null;
      doing.hidden = share === null && progress === null;
      if (share !== null) bar.value = share;
      setText(doing, progress !== null ? progressText(progress) : share !== null ? nextEpochText(store) : '');
      replace(parts.tiles, ...tilesOf(store));
      if (facts.state === offered) return;
      offered = facts.state;
      replace(parts.actions, ...buttonsOf(facts.state, buttons));
    },
  };
}

/** The first doubts about the data, and how many more there are. */
function doubtsText(doubts: readonly string[]): string {
  if (doubts.length === 0) return '';
  const more = doubts.length > 3 ? ` and ${doubts.length - 3} more` : '';
  return `Data: ${doubts.slice(0, 3).join('; ')}${more}. `;
}

/** Why a run that is not running is so. */
function reasonText({ reason, state }: RunFacts): string {
  return state === 'running' ? '' : reason;
}

/** Share of a running run's epochs that is done, synthesis and training as halves of one; null for any other run. */
function shareDone({ facts, progress, epochs }: RunStore): number | null {
  if (facts?.state !== 'running' || facts.plannedEpochs === null) return null;
  const part =
    progress === null || progress.total === 0 || progress.epoch === 0
      ? 0
      : progress.done / progress.total / 2 + (progress.kind === 'training' ? 0.5 : 0);
  return Math.min(1, ((epochs.epoch.at(-1) ?? 0) + part) / facts.plannedEpochs);
}

function nextEpochText({ facts, epochs }: RunStore): string {
  return `Epoch ${(epochs.epoch.at(-1) ?? 0) + 1} of ${facts?.plannedEpochs ?? NO_VALUE}`;
}

function progressText({ kind, epoch, done, total, value }: NonNullable<RunStore['progress']>): string {
  if (kind === 'decoding')
    return `Decoding images: ${count(done)} of ${count(total)}, ${value.toFixed(1)} a second`;
  if (kind === 'labelling')
    return `Training the labeller: step ${count(done)} of ${count(total)}, ${value.toFixed(1)} a second`;
  return kind === 'synthesis'
    ? `Epoch ${epoch}: making images, ${count(done)} of ${count(total)}, ${value.toFixed(1)} a second`
    : `Epoch ${epoch}: training, step ${count(done)} of ${count(total)}, loss ${decimal(value)}`;
}

function buttonsOf(state: RunState, buttons: RunButtons | null): HTMLElement[] {
  if (buttons === null) return [];
  if (state === 'queued' || state === 'running') return [button('Cancel run', buttons.cancel)];
  const { resume, remove } = buttons;
  return [
    ...(state === 'succeeded' ? [] : [button('Resume run', resume)]),
    ...(remove ? [button('Delete run', remove, { class: 'danger' })] : []),
  ];
}

/** Curves over epochs, and the same numbers as a table. */
export function curvesView(store: RunStore): View {
  const boxes: ChartBox[] = [0, 1, 2].map((index) =>
    chartBox((theme) =>
      store.epochs.epoch.length === 0 ? null : (runCharts(store.epochs, theme)[index] ?? null),
    ),
  );
  const empty = h('p', { class: 'note' }, 'The curves begin with the first epoch.');
  const holder = h('div');
  const details = h('details', { ontoggle: () => draw() }, h('summary', {}, 'Epochs as a table'), holder);
  const draw = () => {
    if (details.open) replace(holder, epochTable(store));
  };
  return {
    element: section(
      'curves',
      'Curves',
      '',
      empty,
      h('div', { class: 'figures' }, ...boxes.map((box) => box.element)),
      details,
    ),
    reads: ['epochs'],
    update() {
      empty.hidden = store.epochs.epoch.length > 0;
      details.hidden = store.epochs.epoch.length === 0;
      for (const box of boxes) box.update();
      draw();
    },
  };
}

const TABLE_EPOCHS = 500;

function epochTable({ epochs }: RunStore): HTMLElement {
  const head = [
    'epoch',
    'steps',
    'loss',
    'balanced accuracy',
    'synthetic',
    'fidelity',
    'fidelity, tail',
    'synthesis',
    'training',
    'evaluation',
    'shards redone',
  ];
  const first = Math.max(0, epochs.epoch.length - TABLE_EPOCHS);
  const rows = epochs.epoch.slice(first).map((epoch, index) => {
    const at = first + index;
    return [
      String(epoch),
      count(epochs.optimizerSteps[at]),
      decimal(epochs.trainLoss[at]),
      percent(epochs.balancedAccuracy[at]),
      count(epochs.syntheticImages[at]),
      percent(epochs.fidelity[at]),
      percent(epochs.fidelityTail[at]),
      duration(epochs.synthesisSeconds[at]),
      duration(epochs.trainSeconds[at]),
      duration(epochs.evaluateSeconds[at]),
      count(epochs.shardsRedone[at]),
    ].map((text) => ({ text, isNumber: true }));
  });
  return table('Epochs', head, rows.reverse());
}
