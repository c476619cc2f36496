/** The independent classifier that decides which synthetic images of a run show their intended class. */
import { UserError } from '../../common/errors.ts';
import type { RunConfig } from '../../config/run-config.ts';
import type { Dataset } from '../../data/dataset.ts';
import { readModelFile } from '../../models/model-file.ts';
import type { ClassifierModel, LoadedModel } from '../../models/model-file.ts';
import { isEqualShape } from '../../models/resize.ts';
import { Predictor } from './predictor.ts';

export interface RunJudge {
  readonly model: LoadedModel<ClassifierModel>;
  readonly predictor: Predictor;
}

/** Reads the run's judge; null without one. @throws UserError if its classes or image size differ. */
export async function openJudge(
  { judge, engine, device, threads }: RunConfig,
  dataset: Dataset,
): Promise<RunJudge | null> {
  if (judge === null) return null;
  const model = await readModelFile(judge, 'classifier');
  const { image, classes } = model.model;
  if (!isEqualShape(image, dataset) || classes.join('\n') !== dataset.classes.join('\n'))
    throw new UserError(
      `judge: ${judge} cannot judge this data: ${judgeMismatch(model.model, dataset)}; train one on the data's own classes and size with \`ballast judge train\``,
    );
  return { model, predictor: new Predictor(model.model, { engine, device, threads }) };
}

const NAMES_SHOWN = 10;

/** The mismatch between a judge and the data: size, names of classes, or their order. */
function judgeMismatch({ image, classes }: ClassifierModel, dataset: Dataset): string {
  const sizeOf = ({ height, width, channels }: ClassifierModel['image']) => `${height}×${width}×${channels}`;
  if (sizeOf(image) !== sizeOf(dataset))
    return `it was trained on images of ${sizeOf(image)}, the data has ${sizeOf(dataset)}`;
  const [own, others] = [new Set(classes), new Set(dataset.classes)];
  const list = (names: readonly string[]) =>
    names.slice(0, NAMES_SHOWN).join(', ') + (names.length > NAMES_SHOWN ? `, … (${names.length})` : '');
  const onlyJudge = classes.filter((name) => !others.has(name));
  const onlyData = dataset.classes.filter((name) => !own.has(name));
  const parts = [
    ...(onlyJudge.length > 0 ? [`only the judge has ${list(onlyJudge)}`] : []),
    ...(onlyData.length > 0 ? [`only the data has ${list(onlyData)}`] : []),
  ];
  return parts.length > 0 ? parts.join(', ') : `its classes are in another order (${list(classes)})`;
}
