/** Sections that pages of one run and of several share: quotas, images by epoch, confusion matrices, environment. */

import { pageTheme, seriesColour } from './chart-theme.ts';
import { ACCURACY_COLOUR, classPanels, QUOTA_COLOUR } from './class-panels.ts';
import { confusionChart } from './confusion-chart.ts';
import { count, percent, plural } from './format.ts';
import { element, escapeMarkup } from './markup.ts';
import { definitions, figures, type Frame, section, text } from './page.ts';
import type { EpochRecord, Metrics } from './records.ts';
import { type EmbeddingBudget, pictureSource } from './run-files.ts';

/** '10 classes, 4,963 training images: from 2,000 (T-shirt/top) to 20 (Ankle boot), a ratio of 100.' */
export function dataSentence(classes: readonly string[], classCounts: readonly number[]): string {
  const total = classCounts.reduce((sum, images) => sum + images, 0);
  const most = Math.max(...classCounts);
  const least = Math.min(...classCounts);
  const begin = `${plural(classes.length, 'class')}, ${count(total)} training images`;
  if (total === 0 || !(least > 0)) return `${begin}.`;
  const name = (images: number): string => classes[classCounts.indexOf(images)] ?? '?';
  if (most === least) return `${begin}, ${count(most)} of each class.`;
  const ratio = most / least;
  const times = ratio >= 10 ? count(ratio) : ratio.toFixed(1);
  return `${begin}: from ${count(most)} (${name(most)}) down to ${count(least)} (${name(least)}), ${times} to 1.`;
}

/** Quota and accuracy per class over epochs, or nothing for runs without quotas. */
export function quotaSection(
  title: string,
  epochs: readonly EpochRecord[],
  classes: readonly string[],
  classCounts: readonly number[],
): string {
  if (epochs.every((record) => record.quota === null)) return '';
  const key = (colour: number, name: string): string => {
    const style = `background:${seriesColour(pageTheme, colour)}`;
    return element('span', { class: 'entry' }, element('span', { class: 'key', style }), escapeMarkup(name));
  };
  const legend = element(
    'p',
    { class: 'note' },
    key(ACCURACY_COLOUR, 'accuracy on training images (upper rule: 100%)'),
    key(QUOTA_COLOUR, 'synthetic images asked for, one scale for all classes'),
  );
  const note =
    'Adaptive sampling gives the next images to the classes that the classifier still gets wrong. Smallest class first; the numbers are the last epoch’s.';
  const panels = element('div', { class: 'panels' }, ...classPanels(pageTheme, epochs, classes, classCounts));
  return section(title, note, legend, panels);
}

function gridCaption(record: EpochRecord): string {
  const fidelity =
    record.fidelity === null
      ? ''
      : `, fidelity ${percent(record.fidelity.all)} (tail ${percent(record.fidelity.tail)})`;
  return `Epoch ${record.epoch}: a sample of ${plural(record.syntheticImages, 'synthetic image')}, one class a row${fidelity}`;
}

/** The image grids of a run as frames; `folder` leads from the page's folder to the run's. */
export async function gridFrames(
  pageDir: string,
  folder: string,
  epochs: readonly EpochRecord[],
  budget: EmbeddingBudget,
): Promise<Frame[]> {
  const found: Frame[] = [];
  for (const record of epochs) {
    if (record.grid === null) continue;
    const path = folder === '' ? record.grid : `${folder}/${record.grid}`;
    const source = await pictureSource(pageDir, path, budget);
    if (source !== null) found.push({ name: String(record.epoch), caption: gridCaption(record), source });
  }
  return found;
}

export interface NamedMetrics {
  readonly name: string;
  readonly metrics: Metrics;
}

export function confusionFigure({ name, metrics }: NamedMetrics, classes: readonly string[]): string {
  return confusionChart(pageTheme, `Confusion, ${name}`, metrics.confusion, classes);
}

export function confusionSection(entries: readonly NamedMetrics[], classes: readonly string[]): string {
  if (entries.length === 0) return '';
  const drawings = entries.map((entry) => confusionFigure(entry, classes));
  const note = 'Rows are true classes, columns predictions. Point at a cell for its count.';
  return section(
    entries.length === 1 ? 'Another confusion matrix' : 'Confusion matrices',
    note,
    figures(drawings, true),
  );
}

export function environmentSection(environment: Readonly<Record<string, string>>, digest?: string): string {
  const weights = digest === undefined ? [] : [['weights (SHA-256)', digest] as const];
  const entries = [...Object.entries(environment), ...weights];
  return section('Environment', 'The software and hardware of the run.', definitions(entries));
}

/** How to get the same numbers again, and the resolved configuration where the folder holds it. */
export function reproduceSection(commands: readonly string[], note: string, config: string | null): string {
  const shown =
    config === null
      ? ''
      : element(
          'details',
          {},
          text('summary', 'Resolved configuration (config.json)'),
          text('pre', config.trim()),
        );
  return section('How to reproduce', note, text('pre', commands.join('\n')), shown);
}
