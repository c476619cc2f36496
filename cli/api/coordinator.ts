/** `ballast coordinator`: a node that does runs for others and serves the public API, until SIGTERM or Ctrl-C. */
import type { Command } from 'commander';
import { natsNames, removeNatsEvents } from '../../actors/control/event-nats-stream.ts';
import { openNatsEventBus } from '../../actors/control/event-nats.ts';
import { natsSecrets } from '../../actors/control/nats-secrets.ts';
import { confineTree, pathWithin } from '../../common/confined-path.ts';
import { ensureDirectory } from '../../common/files.ts';
import { once } from '../../common/once.ts';
import { ApiTokens } from '../../common/tokens.ts';
import { type CoordinatorOptions, startCoordinator } from '../../coordinator/service.ts';
import type { RunActions } from '../../dashboard/server/actions.ts';
import { type Dashboard, startDashboard } from '../../dashboard/server/server.ts';
import type { CommandContext } from '../base/context.ts';
import { clusterView } from '../dashboard/cluster.ts';
import { dashboardToken, dashboardTokenPath } from '../dashboard/token.ts';
import {
  type CoordinatorFlags,
  type CoordinatorSettings,
  parseCoordinatorSettings,
} from './coordinator-settings.ts';
import { addNodeFlags, type Guest, type Host, nodeCommand, refuseTakenPort } from '../cluster/node.ts';
import type { NodeFlags, NodeSettings } from '../cluster/node-settings.ts';

const EXAMPLES = `
Examples:
  ballast coordinator --data photos --runs runs                 a cluster of one; gRPC clients call 127.0.0.1:4800
  ballast coordinator --join nats://nats:4222 --host 0.0.0.0 --api-host 0.0.0.0 --data /data --runs /runs \\
    --worker-labels role=diffusion-worker --worker-resources gpu=1 --trainer-labels role=classifier-trainer
`;

export function addCoordinatorCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('coordinator')
    .summary('accept runs over gRPC and execute them on a cluster')
    .description(
      'Runs a cluster node that also serves the public gRPC API: it accepts runs, executes several at once on shared ' +
        'workers, and keeps their folders. When it starts again, it continues unfinished runs.',
    )
    .option('--api-host <host>', 'address where the API listens; 0.0.0.0 for all interfaces', '127.0.0.1')
    .option('--api-port <port>', 'port of the API; 0 for a free one', '4800')
    .option('--runs <dir>', 'folder of the run folders', 'runs')
    .option('--data <dir>', 'folder whose paths configurations may use; repeatable', collect, [])
    .option('--tokens <file>', 'file of API tokens and their scopes')
    .option(
      '--dashboard-port <port>',
      'serve the page of the runs on this port of 127.0.0.1; 0 for a free one',
    )
    .option('--max-runs <n>', 'runs at once; others wait', '4')
    .option('--keep-events <seconds>', 'how long NATS keeps the events of a run that has ended', '86400')
    .option('--keep-runs <n>', 'keep only the newest n of the runs that have ended (default: all)')
    .option('--keep-runs-days <days>', 'delete runs this many days after they end (default: never)')
    .option('--worker-labels <list>', 'name=value,… of the nodes that make images')
    .option('--trainer-labels <list>', 'name=value,… of the nodes that train')
    .option('--worker-resources <list>', 'resources that each diffusion worker takes', 'cpu=1')
    .addHelpText('after', EXAMPLES);
  addNodeFlags(command);
  command.action(async () => {
    const flags = command.opts<NodeFlags & CoordinatorFlags>();
    const settings = parseCoordinatorSettings(flags, context.cwd);
    await refuseTakenPort('--api-port', settings.api.host, settings.api.port);
    await nodeCommand(flags, context, (host) => startGuest(settings, host), { runs: settings.runsDir });
  });
}

async function startGuest(settings: CoordinatorSettings, host: Host): Promise<Guest> {
  const { api, runsDir, dataDirs, maxRuns, workerLabels, workerResources, trainerLabels } = settings;
  const { tokensFile } = settings;
  const { node, metrics: registry, log } = host;
  const onProblem = (problem: Error) =>
    log.error('the tokens file cannot be used; the former tokens stay in force', { error: problem });
  const tokens = tokensFile === null ? null : ApiTokens.open(tokensFile, { onProblem });
  let page: Dashboard | null = null;
  const coordinator = await startCoordinator({
    ...{ node, registry, log, api, runsDir, maxRuns, workerLabels, workerResources, trainerLabels },
    tokens,
    onRunEvent: (run, event) => page?.tell(run, event),
    confine: (path, field) => confineTree(path, dataDirs, field),
    showPath: (path) => pathWithin(path, dataDirs),
    mirror: mirrorOf(host.settings),
    keepEventsMs: settings.keepEventsMs,
    keepRuns: settings.keepRuns,
  });
  const close = once(async () => {
    await page?.close();
    await coordinator.close();
  });
  const events = host.settings.join.kind === 'nats' ? [describeStreams()] : [];
  const lines = [`api:    ${coordinator.apiAddress}`, ...events];
  if (settings.dashboardPort === null) return { lines, close };
  try {
    page = await coordinatorPage(settings.dashboardPort, settings, host, tokens, coordinator.actions);
    return { lines: [...lines, `page:   ${page.link}`], close };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

/** If the API requires tokens, so does the page; otherwise the link holds the user's own. */
async function coordinatorPage(
  port: number,
  { runsDir }: CoordinatorSettings,
  { node, log }: Host,
  tokens: ApiTokens | null,
  actions: RunActions,
): Promise<Dashboard> {
  await ensureDirectory(runsDir);
  return startDashboard({
    ...{ root: runsDir, port, tokens, actions, log },
    token: tokens === null ? await dashboardToken(dashboardTokenPath(process.env)) : null,
    cluster: async () => clusterView(await node.listNodes(), await node.list(), []),
  });
}

/** Where each run's events are, for a RUN of the list. */
function describeStreams(): string {
  const { stream, prefix } = natsNames('run-RUN');
  return `events: NATS stream ${stream} of each RUN, subjects ${prefix}>`;
}

/** Runs tell NATS of their events where the cluster has one. */
function mirrorOf({ join }: NodeSettings): CoordinatorOptions['mirror'] {
  if (join.kind !== 'nats') return null;
  // `run-`: no run may name the stream of the cluster's events.
  const of = (run: string) => ({ url: join.url, runId: `run-${run}`, ...natsSecrets(process.env) });
  return { open: (run) => openNatsEventBus(of(run)), remove: (run) => removeNatsEvents(of(run)) };
}

function collect(value: string, previous: readonly string[]): string[] {
  return [...previous, value];
}
