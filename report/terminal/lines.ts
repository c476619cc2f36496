/** Plain lines about a run, for logs and pipes: one per epoch and per notable event. */

import { plainText } from '../../common/plain-text.ts';
import { finalResult } from '../final-result.ts';
import { count, decimal, duration, percent, perSecond, plural } from '../format.ts';
import { classesToldApart } from '../records.ts';
import type { EpochRecord, Preparation, RunEvent, RunReport } from '../records.ts';
import { isTrouble } from './run-progress.ts';

/** 'loss 0.512, balanced accuracy 71.2% (validation), fidelity 93.0% (tail 91.2%)', without what was not measured. */
export function qualityLine(record: EpochRecord): string {
  const parts = [`loss ${decimal(record.trainLoss)}`];
  if (record.validation !== null)
    parts.push(`balanced accuracy ${percent(record.validation.balancedAccuracy)} (validation)`);
  if (record.fidelity !== null) {
    const { all, tail } = record.fidelity;
    parts.push(`fidelity ${percent(all)}${tail === null ? '' : ` (tail ${percent(tail)})`}`);
  }
  return parts.join(', ');
}

function epochLine(record: EpochRecord, epochs: number | null, left: number | null): string {
  const parts = [`epoch ${record.epoch}${epochs === null ? '' : `/${epochs}`}: ${qualityLine(record)}`];
  if (record.syntheticImages > 0) {
    const rate =
      record.synthesisSeconds > 0
        ? ` (${perSecond(record.syntheticImages / record.synthesisSeconds)}/s)`
        : '';
    parts.push(
      `${plural(record.syntheticImages, 'synthetic image')} in ${duration(record.synthesisSeconds)}${rate}`,
    );
  }
  parts.push(`training ${duration(record.trainSeconds)}`);
  if (record.shardsRedone > 0) parts.push(`${plural(record.shardsRedone, 'shard')} redone`);
  if (left !== null && left > 0) parts.push(`${duration(left)} left`);
  return parts.join(', ');
}

/** The result of a finished run, in one line. */
export function finishedLine(report: RunReport): string {
  const result = finalResult(report);
  const quality =
    result === null
      ? 'not evaluated'
      : `balanced accuracy ${percent(result.metrics.balancedAccuracy)}, accuracy ${percent(result.metrics.accuracy)} on ${result.split}`;
  return `${plainText(report.method)} finished: ${quality}; ${plural(report.optimizerSteps, 'step')}, ${plural(report.syntheticImages, 'synthetic image')}, ${duration(report.seconds)}${imagesWarning(report)}`;
}

/** Of the last making of images; report.html says more. */
function imagesWarning({ epochs }: RunReport): string {
  const last = epochs.findLast(({ toldApart }) => toldApart !== undefined);
  const told = last === undefined ? 0 : classesToldApart(last).length;
  return told === 0
    ? ''
    : `; warning: synthetic images of ${plural(told, 'class')} are easily distinguished from real ones`;
}

export function troubleLine(event: Extract<RunEvent, { readonly type: 'actor' }>): string {
  return plainText(`${event.actor} ${event.state}: ${event.reason}`);
}

/** '400 images/s, 1 min left'. */
export function preparationRate({ activity, done, total, seconds }: Preparation): string {
  const rate = done / seconds;
  const left = done < total ? `, ${duration((total - done) / rate)} left` : '';
  return `${perSecond(rate)} ${UNITS[activity]}/s${left}`;
}

const UNITS = { decoding: 'images', labelling: 'steps' } as const;

/** 'decoding: 1,200/25,000 images, 400 images/s, 1 min left'. */
export function preparationText(preparation: Preparation): string {
  const { activity, done, total } = preparation;
  return `${activity}: ${count(done)}/${count(total)} ${UNITS[activity]}, ${preparationRate(preparation)}`;
}

const SKIPPED_SHOWN = 5;

/** Files left out of the data, and doubts about it, in one line. */
export function dataLine(skipped: readonly string[], warnings: readonly string[]): string {
  const left = skipped.length - SKIPPED_SHOWN;
  const shown = [...skipped.slice(0, SKIPPED_SHOWN), ...(left > 0 ? [`and ${count(left)} more`] : [])];
  const parts = [
    ...(skipped.length > 0
      ? [`skipped ${plural(skipped.length, 'image')} that cannot be read: ${shown.join('; ')}`]
      : []),
    ...warnings.map((warning) => `warning: ${warning}`),
  ];
  return plainText(parts.join('; '));
}

/** The line for `event`, or null for events that only a live view shows. `epochs` and `left` come from the run's progress. */
export function eventLine(event: RunEvent, epochs: number | null, left: number | null): string | null {
  switch (event.type) {
    case 'data':
      return dataLine(event.skipped, event.warnings);
    case 'started': {
      const total = event.classCounts.reduce((sum, images) => sum + images, 0);
      const resumed = event.firstEpoch > 1 ? `, resumed at epoch ${event.firstEpoch}` : '';
      const folder = event.runDir === '' ? '' : `; run folder ${plainText(event.runDir)}`;
      const data = `${plural(event.classes.length, 'class')}, ${plural(total, 'training image')}`;
      return `${plainText(event.method)} seed ${event.seed}: ${data}, ${plural(event.epochs, 'epoch')}${resumed}${folder}`;
    }
    case 'epoch':
      return epochLine(event.record, epochs, left);
    case 'actor':
      return isTrouble(event) ? troubleLine(event) : null;
    case 'finished':
      return finishedLine(event.report);
    case 'cancelled':
      return `stopped in epoch ${event.epoch}; finished epochs are kept, and --resume continues from them`;
    case 'preparation':
    case 'quota':
    case 'synthesis':
    case 'training':
      return null;
    default:
      return event satisfies never;
  }
}
