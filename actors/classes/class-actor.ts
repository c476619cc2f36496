/** `actor` and `task`: what makes a class an actor, and a function a task. */

import { serveActor } from '../serve.ts';
import { isHosted, registerClass } from './class-registry.ts';
import type { ActorOptions, ModuleMeta, RegisteredClass } from './class-registry.ts';
import type { ActorClass } from './class-types.ts';
import { startInstance } from './hosted-class.ts';
import { noteServing } from './hosting.ts';
import { registerTask } from './task-options.ts';
import type { TaskFunction, TaskOptions } from './task-options.ts';

/**
 * Says that a class is an actor, and returns it: `const Counter = actor(import.meta, class Counter { … })`. Its public
 * methods are its interface; those that are generators stream. It may have
 *
 * - `static create(...args)`, maybe async, which makes the instance in place of the constructor;
 * - `snapshot()` and `restore(state)`: what the first returns after a call, the second gets after a restart;
 * - `onStop()`, called before a clean end.
 *
 * The file runs again in each actor's process, as far as `await start()`. @throws UserError for what cannot be an actor.
 */
export function actor<Class extends ActorClass>(
  module: ModuleMeta,
  actorClass: Class,
  options: ActorOptions = {},
): Class {
  serveIfHosted(registerClass(actorClass, module, actorClass, options));
  return actorClass;
}

/**
 * Says that a function may run in other processes, and returns it: `const square = task(import.meta, function square(x) {
 * … })`, called by `ballast.run(square, 3)`. @throws UserError for a function without a name.
 */
export function task<Function extends TaskFunction>(
  module: ModuleMeta,
  run: Function,
  options: TaskOptions = {},
): Function {
  serveIfHosted(registerTask(module, run, options));
  return run;
}

function serveIfHosted(registered: RegisteredClass): void {
  if (!isHosted(registered)) return;
  noteServing();
  const { service } = registered.type;
  // In a later turn: the rest of the file may hold what its methods use.
  setImmediate(() => void serveActor({ service, start: (runtime) => startInstance(registered, runtime) }));
}
