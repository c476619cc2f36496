// The type that callers and the actor's program share: its name, its service, and the path of its program.
import { join } from 'node:path';
import { loadService } from 'ballast/actors';

export const folder = import.meta.dirname;

export const counter = {
  name: 'counter',
  entry: join(folder, 'counter.mjs'),
  service: loadService('counter.proto', 'example.Counter', { includeDirs: [folder] }),
};
