/** The run's environment, all numbers of its evaluations, its configuration, and how to reproduce it. */
import { count, decimal, percent } from '../../../report/format.ts';
import type { Evaluation } from '../../model/run-model.ts';
import { h, replace, section, table } from '../dom.ts';
import type { RunStore } from '../run-store.ts';
import type { View } from './view.ts';

/** Names of metrics for people, in the order in which they stand; others follow under their own names. */
const NAMES: Readonly<Record<string, string>> = {
  count: 'images',
  balancedAccuracy: 'balanced accuracy',
  accuracy: 'accuracy',
  manyShotRecall: 'many-shot recall (over 100 images)',
  mediumShotRecall: 'medium-shot recall (20 to 100 images)',
  fewShotRecall: 'few-shot recall (under 20 images)',
  tailRecall: 'tail recall',
  worstRecall: 'worst class',
  macroPrecision: 'macro precision',
  macroF1: 'macro F1',
  mcc: 'Matthews correlation',
  aucOvr: 'area under ROC',
  nll: 'negative log-likelihood',
  ece: 'calibration error',
  eceScaled: 'calibration error, after scaling',
  nllScaled: 'negative log-likelihood, after scaling',
  temperature: 'temperature',
  quadraticKappa: 'quadratic kappa',
};
const SHARES = new Set([
  'balancedAccuracy',
  'accuracy',
  'manyShotRecall',
  'mediumShotRecall',
  'fewShotRecall',
  'tailRecall',
  'worstRecall',
  'worstClass',
  'macroPrecision',
]);

/** Means over the classes of a training size, which a run may lack. */
const GROUPS = new Set(['manyShotRecall', 'mediumShotRecall', 'fewShotRecall', 'tailRecall']);
const NO_CLASS = '– (no such class)';

function metricsTable(evaluations: readonly Evaluation[]): HTMLElement {
  const present = new Set(evaluations.flatMap(({ scalars }) => Object.keys(scalars)));
  const known = Object.keys(NAMES).filter((name) => present.has(name));
  const names = [...known, ...[...present].filter((name) => !(name in NAMES))];
  const show = (name: string, value: number | null | undefined) =>
    GROUPS.has(name) && value === null
      ? NO_CLASS
      : name === 'count'
        ? count(value)
        : SHARES.has(name)
          ? percent(value)
          : decimal(value);
  const rows = names.map((name) => [
    { text: NAMES[name] ?? name },
    ...evaluations.map(({ scalars }) => ({ text: show(name, scalars[name]), isNumber: true })),
  ]);
  return table('Results', ['', ...evaluations.map(({ split }) => split)], rows);
}

export function detailsView(store: RunStore): View {
  const holder = h('div', { class: 'columns' });
  const config = h('pre', { tabindex: 0, role: 'region', 'aria-label': 'Configuration' });
  const configBox = h('details', {}, h('summary', {}, 'Resolved configuration (config.json)'), config);
  const element = section('details', 'Details', '', holder, configBox);
  let drawn = '';
  return {
    element,
    reads: ['facts', 'epochs'],
    update() {
      const { facts } = store;
      if (facts === null) return;
      const evaluations =
        facts.evaluations.length > 0 ? facts.evaluations : store.latest === null ? [] : [store.latest];
      const key = JSON.stringify([facts, evaluations.map(({ scalars }) => scalars)]);
      if (key === drawn) return;
      drawn = key;
      const digest = facts.weightsDigest === null ? [] : [['weights (SHA-256)', facts.weightsDigest]];
      const entries = [...Object.entries(facts.environment), ...digest];
      replace(
        holder,
        evaluations.length > 0 && h('div', {}, h('h3', {}, 'Results'), metricsTable(evaluations)),
        h(
          'div',
          {},
          h('h3', {}, 'Environment'),
          h(
            'dl',
            { class: 'facts' },
            ...entries.flatMap(([name, value]) => [h('dt', {}, name ?? ''), h('dd', {}, value ?? '')]),
          ),
          h('h3', {}, 'Again'),
          h('pre', {}, `ballast run --config config.json --out ${facts.name}-again`),
        ),
      );
      configBox.hidden = facts.config === null;
      config.textContent = facts.config;
    },
  };
}
