/** Functions as tasks: each is a class actor with one method, kept in a pool while there is work. */

import { UserError } from '../../common/errors.ts';
import { checkWhole, shown } from '../base/checks.ts';
import type { SpawnOptions } from '../system/actor-type.ts';
import { registerClass } from './class-registry.ts';
import type { ModuleMeta, RegisteredClass } from './class-registry.ts';
import type { ClassCallOptions } from './class-types.ts';
import type { ErrorClass } from './thrown-error.ts';

export type TaskFunction = (...args: never[]) => unknown;

export interface TaskOptions
  extends
    Pick<ClassCallOptions, 'retries' | 'retryOn' | 'deadlineMs'>,
    Pick<SpawnOptions, 'isolation' | 'resources' | 'labels' | 'placement' | 'env'> {
  /** Processes (or threads) that run it at the same time; as many as this machine has cores by default. */
  readonly max?: number;
  /** Error classes of the program's own, which callers get back as such. */
  readonly errors?: readonly ErrorClass[];
}

const tasks = new WeakMap<TaskFunction, TaskOptions>();

export function registerTask(module: ModuleMeta, run: TaskFunction, options: TaskOptions): RegisteredClass {
  if (typeof run !== 'function') throw new UserError(`task(…, ${shown(run)}): it is no function.`);
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
