/** Resource names of requests, read. */
import { isRunId } from '../runs/run-record.ts';
import { invalidField } from './errors.ts';
import { checkLength, MAX_CHARACTERS } from './text-limits.ts';

const NUMBER = /^[1-9]\d{0,8}$/;

/** The id in `runs/{run}`. @throws ApiError */
export function parseRunName(name: string, field = 'name'): string {
  checkLength(name, field, MAX_CHARACTERS.name);
  const [collection, id = '', ...rest] = name.split('/');
  if (collection === 'runs' && isRunId(id) && rest.length === 0) return id;
  throw invalidField(field, name, 'must be runs/{run}');
}

/** `runs/{run}/epochs/{epoch}`; with `any`, `-` stands for all epochs and reads as null. @throws ApiError */
export function parseEpochName(name: string, field: string): { run: string; epoch: number };
export function parseEpochName(name: string, field: string, any: true): { run: string; epoch: number | null };
export function parseEpochName(name: string, field: string, any = false) {
  checkLength(name, field, MAX_CHARACTERS.name);
  const [runs, run = '', epochs, epoch = '', ...rest] = name.split('/');
  const isEpoch = NUMBER.test(epoch) || (any && epoch === '-');
  if (runs === 'runs' && isRunId(run) && epochs === 'epochs' && isEpoch && rest.length === 0)
    return { run, epoch: epoch === '-' ? null : Number(epoch) };
  throw invalidField(field, name, 'must be runs/{run}/epochs/{epoch}');
}

/** `runs/{run}/epochs/{epoch}/images/{image}`. @throws ApiError */
export function parseImageName(name: string, field: string): { run: string; epoch: number; image: number } {
  checkLength(name, field, MAX_CHARACTERS.name);
  const parts = name.split('/');
  const [images, image = ''] = parts.splice(4, 2);
  if (parts.length === 4 && images === 'images' && /^\d{1,15}$/.test(image)) {
    const { run, epoch } = parseEpochName(parts.join('/'), field);
    return { run, epoch, image: Number(image) };
  }
  throw invalidField(field, name, 'must be runs/{run}/epochs/{epoch}/images/{image}');
}
