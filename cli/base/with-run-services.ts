/** Services around the runs of one command: Ctrl-C, and one /metrics page on request. */
import type { Node } from '../../actors/node/node.ts';
import { serveMetrics } from '../../actors/calls/metrics.ts';
import { UserError } from '../../common/errors.ts';
import type { CommandContext } from './context.ts';
import { type Interrupts, listenForInterrupts } from './interrupts.ts';
import { MergedRegistry } from './merged-metrics.ts';

export interface RunServices {
  readonly interrupts: Interrupts;
  readonly onNode: (node: Node | null) => void;
}

/** The port that a flag names; null without the flag. Throws UserError for an invalid port. */
export function parsePort(text: string | undefined, flag = '--metrics-port'): number | null {
  if (text === undefined) return null;
  const port = text === '' ? NaN : Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new UserError(`${flag} ${text}: it must be a whole number from 0 (any free port) to 65535`);
  return port;
}

/** Does `work` with Ctrl-C and /metrics served; takes both down afterwards. Throws UserError when the port is in use. */
export async function withRunServices<Value>(
  { stderr }: CommandContext,
  metricsPort: number | null,
  work: (services: RunServices) => Promise<Value>,
): Promise<Value> {
  let current: Node | null = null;
  const server =
    metricsPort === null
      ? null
      : await serveMetrics(new MergedRegistry(() => current), { port: metricsPort });
  if (server) stderr.write(`metrics: http://${server.address}/metrics\n`);
  const interrupts = listenForInterrupts((line) => stderr.write(`${line}\n`));
  try {
    return await work({ interrupts, onNode: (node) => (current = node) });
  } finally {
    interrupts.release();
    await server?.close();
  }
}
