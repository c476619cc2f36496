/** Functions as tasks: each one is a class actor with a single method, in a pool that lives while there is work. */

import { UserError } from '../../common/errors.ts';
import { checkWhole, shown } from '../base/checks.ts';
import type { SpawnOptions } from '../system/actor-type.ts';
import { type ModuleMeta, registerClass, type RegisteredClass } from './class-registry.ts';
import type { ClassCallOptions } from './class-types.ts';
import type { ErrorClass } from './thrown-error.ts';

export type TaskFunction = (...args: never[]) => unknown;

export interface TaskOptions
  extends
    Pick<ClassCallOptions, 'retries' | 'retryOn' | 'deadlineMs'>,
    Pick<SpawnOptions, 'isolation' | 'resources' | 'labels' | 'placement' | 'env'> {
  /** Maximum number of processes (or threads) that run it at the same time; the number of cores by default. */
  readonly max?: number;
  /** The program's own error classes, which callers receive as such. */
  readonly errors?: readonly ErrorClass[];
}

const tasks = new WeakMap<TaskFunction, TaskOptions>();

export function registerTask(module: ModuleMeta, run: TaskFunction, options: TaskOptions): RegisteredClass {
  if (typeof run !== 'function') throw new UserError(`task(…, ${shown(run)}): it is not a function.`);
  if (options.max !== undefined) checkWhole(`Task ${run.name}, max`, options.max, 1);
  const taskClass = class {
    run(...args: never[]): unknown {
      return run(...args);
    }
  };
  tasks.set(run, options);
  const { errors } = options;
  return registerClass(run, module, taskClass, {
    name: run.name,
    ...(errors === undefined ? {} : { errors }),
  });
}

export function taskOptions(run: TaskFunction): TaskOptions {
  return tasks.get(run) ?? {};
}
