/** The surroundings of a command: its streams and its folder. Tests pass their own. */
import type { TextStream } from './output.ts';

export interface CommandContext {
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  /** Folder that relative paths are relative to. */
  readonly cwd: string;
}
