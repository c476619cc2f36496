/** What a command is given: its streams and folder. Tests give their own. */
import type { TextStream } from './output.ts';

export interface CommandContext {
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  /** Folder that relative paths are relative to. */
  readonly cwd: string;
}
