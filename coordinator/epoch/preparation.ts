/** The trainer's progress before training, from its messages to the run's events. */
import type { OpenResponse__Output } from '../../gen/ballast/v1/OpenResponse.ts';
import type { OpenResult__Output } from '../../gen/ballast/v1/OpenResult.ts';
import type { Preparation__Output } from '../../gen/ballast/v1/Preparation.ts';
import type { Preparation, RunEvent } from '../../report/records.ts';

export function toPreparation({ activity, ...progress }: Preparation__Output): RunEvent {
  return { type: 'preparation', activity: activity as Preparation['activity'], ...progress };
}

/** The result at the end of the trainer's `open`. @throws Error when there is none */
export async function openedBy(
  messages: AsyncIterable<OpenResponse__Output>,
  onPreparation: (event: RunEvent) => void = () => undefined,
): Promise<OpenResult__Output> {
  let opened: OpenResult__Output | null = null;
  for await (const { preparation, result } of messages) {
    if (result) opened = result;
    else if (preparation) onPreparation(toPreparation(preparation));
  }
  if (!opened) throw new Error('the trainer opened without a result');
  return opened;
}
