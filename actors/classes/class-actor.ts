/** `actor` and `task`: declare that a class is an actor, and a function a task. */

import { serveActor } from '../serve.ts';
import { isHosted, registerClass } from './class-registry.ts';
import type { ActorOptions, ModuleMeta, RegisteredClass } from './class-registry.ts';
import type { ActorClass } from './class-types.ts';
import { startInstance } from './hosted-class.ts';
import { noteServing } from './hosting.ts';
import { registerTask, type TaskFunction, type TaskOptions } from './task-options.ts';

/**
 * Declares that a class is an actor, and returns it: `const Counter = actor(import.meta, class Counter { … })`. Its
 * public methods are its interface; generator methods stream their results. It may have
 *
 * - `static create(...args)`, which may be async, to create the instance instead of the constructor;
 * - `snapshot()` and `restore(state)`: the latest value that `snapshot` returned after a call is passed to `restore`
 *   after a restart;
 * - `onStop()`, called before a clean shutdown.
 *
 * The file runs again in each actor's process, up to `await start()`. @throws UserError if the class cannot be an
 * actor.
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
 * Declares that a function may run in other processes, and returns it: `const square = task(import.meta, function
 * square(x) { … })`, called by `ballast.run(square, 3)`. @throws UserError if the function has no name.
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
  // In a later turn of the event loop: the rest of the file may define what its methods use.
  setImmediate(() => void serveActor({ service, start: (runtime) => startInstance(registered, runtime) }));
}
