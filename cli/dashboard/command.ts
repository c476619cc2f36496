/** `ballast dashboard`: the page of a folder of runs, live and afterwards. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { whenAborted } from '../../common/abort.ts';
import { UserError } from '../../common/errors.ts';
import { createLog } from '../../common/log.ts';
import { type Dashboard, startDashboard } from '../../dashboard/server/server.ts';
import type { CommandContext } from '../base/context.ts';
import { clusterOfFolder } from './cluster.ts';
import { dashboardToken, dashboardTokenPath } from './token.ts';
import { listenForInterrupts } from '../base/interrupts.ts';
import { parsePort } from '../base/with-run-services.ts';

const EXAMPLES = `
Examples:
  ballast dashboard runs/
  ballast dashboard runs/photos --port 4820
`;

export function addDashboardCommand(program: Command, context: CommandContext): void {
  program
    .command('dashboard')
    .summary('show runs in the browser')
    .description(
      'Serves a page of the runs and studies in a folder, only to this machine (127.0.0.1), and prints its link. The page ' +
        'follows runs in progress and shows finished ones; nothing has to be running.',
    )
    .argument('[dir]', 'folder of runs and studies, or of one', 'runs')
    .option('--port <port>', 'port of the page; 0 for any free one', '0')
    .addHelpText('after', EXAMPLES)
    .action((dir: string, options: { port: string }) =>
      serve(resolve(context.cwd, dir), options.port, context),
    );
}

async function serve(dir: string, port: string, { stdout, stderr }: CommandContext): Promise<void> {
  if (statSync(dir, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new UserError(
      `${dir}: there is no such folder; name a folder of runs, as \`ballast dashboard runs/\``,
    );
  const interrupts = listenForInterrupts((line) => stderr.write(`${line}\n`), process, {
    notice: 'Stopping.',
  });
  const dashboard = await openDashboard(dir, parsePort(port, '--port') ?? 0);
  try {
    stdout.write(`dashboard: ${dashboard.link}\n`);
    await whenAborted(interrupts.signal);
  } finally {
    await dashboard.close();
    interrupts.release();
  }
}

/** The page of a folder, for the user's own token. @throws UserError when the port is taken */
export async function openDashboard(root: string, port: number): Promise<Dashboard> {
  return startDashboard({
    ...{ root, port },
    token: await dashboardToken(dashboardTokenPath(process.env)),
    cluster: (runDir) => (runDir === null ? Promise.resolve(null) : clusterOfFolder(runDir)),
    log: createLog({ level: 'warn' }),
  });
}
