/** `ballast controller`: does the runs that SynthesisRun objects of a Kubernetes namespace ask for, until SIGTERM or Ctrl-C. */
import { once } from 'node:events';
import type { Command } from 'commander';
import { ChannelPool, plainCalls } from '../../actors/calls/channels.ts';
import { createRegistry, type MetricsServer, serveMetrics } from '../../actors/calls/metrics.ts';
import { SecurityFiles } from '../../actors/security/security-files.ts';
import { TOKEN_KEY } from '../../actors/security/security.ts';
import { type HealthPort, serveHealth } from '../../actors/serving/health-port.ts';
import { createLog } from '../../common/log.ts';
import type { ControllerOptions } from '../../controller/controller.ts';
import { coordinatorService } from '../../coordinator/api/service.ts';
import { API_TOKEN_KEY, type ApiFlags, readApiTarget, SERVER_KEY } from './target.ts';
import type { CommandContext } from '../base/context.ts';
import { listenForInterrupts } from '../base/interrupts.ts';
import { parsePort } from '../base/with-run-services.ts';

interface ControllerFlags extends ApiFlags {
  readonly namespace?: string;
  readonly healthHost: string;
  readonly healthPort?: string;
  readonly metricsHost: string;
  readonly metricsPort?: string;
}

const EXAMPLES = `
Examples:
  ballast controller --server coordinator:4800 --token-file token       in a pod: its service account, its namespace
  KUBECONFIG=admin.yaml ballast controller --server 127.0.0.1:4800 --namespace ballast
`;

export function addControllerCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('controller')
    .summary('execute the runs that Kubernetes objects ask for')
    .description(
      'Watches the SynthesisRun objects of a Kubernetes namespace: has a coordinator execute their runs, maintains their status, and ' +
        'stops runs that are suspended or whose object is deleted.',
    )
    .option('--server <address>', `HOST:PORT of a coordinator's API (default: ${SERVER_KEY})`)
    .option('--token-file <file>', `file that holds an API token of scope submit (default: ${API_TOKEN_KEY})`)
    .option(
      '--namespace <name>',
      "namespace of the objects (default: the pod's, or that of the current context)",
    )
    .option('--health-host <host>', 'address that answers probes', '127.0.0.1')
    .option('--health-port <port>', 'port that answers gRPC probes (default: none)')
    .option('--metrics-host <host>', 'address that serves metrics', '127.0.0.1')
    .option('--metrics-port <port>', 'serve Prometheus metrics (default: none)')
    .addHelpText('after', EXAMPLES);
  command.action(() => control(command.opts<ControllerFlags>(), context));
}

async function control(flags: ControllerFlags, context: CommandContext): Promise<void> {
  const { stderr } = context;
  const { address } = readApiTarget(flags, process.env, context.cwd);
  const healthPort = parsePort(flags.healthPort, '--health-port');
  const metricsPort = parsePort(flags.metricsPort);
  const log = createLog();
  const pool = new ChannelPool({ security: new SecurityFiles(apiEnvironment(flags), { log }) });
  let health: HealthPort | null = null;
  let page: MetricsServer | null = null;
  const interrupts = listenForInterrupts((line) => stderr.write(`${line}\n`), process, {
    notice: 'Stopping; runs continue.',
  });
  try {
    const objects = await openNamespace(flags.namespace);
    if (healthPort !== null)
      health = await serveHealth({ host: flags.healthHost, port: healthPort, isServing: false });
    const { Controller } = await import('../../controller/controller.ts');
    const { ControllerMetrics } = await import('../../controller/metrics.ts');
    const registry = createRegistry();
    if (metricsPort !== null)
      page = await serveMetrics(registry, { host: flags.metricsHost, port: metricsPort });
    const metrics = new ControllerMetrics(registry);
    const controller = new Controller({
      ...{ api: plainCalls(coordinatorService, pool, address), objects, log, metrics },
      onReady: (isReady) => health?.setServing(isReady),
    });
    const probes = health === null ? '' : `; probes are answered at ${health.address}`;
    stderr.write(`controller of namespace ${objects.namespace}, runs at ${address}${probes}\n`);
    if (page !== null) stderr.write(`metrics: http://${page.address}/metrics\n`);
    if (!interrupts.signal.aborted) await once(interrupts.signal, 'abort');
    await controller.close();
  } finally {
    interrupts.release();
    health?.close();
    await page?.close();
    pool.close();
  }
}

/** The library takes a second to load: no other command pays for it. */
async function openNamespace(namespace: string | undefined): Promise<ControllerOptions['objects']> {
  return (await import('../../controller/kubernetes.ts')).openObjects(namespace);
}

/** TLS and token files are reread when they are renewed. */
function apiEnvironment({ tokenFile }: ControllerFlags): NodeJS.ProcessEnv {
  return { ...process.env, [TOKEN_KEY]: tokenFile ?? process.env[API_TOKEN_KEY] };
}
