/**
 * The server of the page: on loopback only, behind a token. Reads folders of runs; does nothing to them itself, but asks
 * `actions` (the coordinator) where the token allows it.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { errorCode, toError, UserError } from '../../common/errors.ts';
import type { Log } from '../../common/log.ts';
import type { ApiTokens } from '../../common/tokens.ts';
import type { RunEvent } from '../../report/records.ts';
import { LIVE_POLICY, readPageAssets } from '../document.ts';
import { RunFolders } from '../model/run-list.ts';
import type { ClusterView } from '../model/cluster-view.ts';
import { PageGate } from './gate.ts';
import { LiveRuns } from './live-runs.ts';
import { Refused } from './refused.ts';
import { send } from './replies.ts';
import type { RunActions } from './actions.ts';
import { Routes } from './routes.ts';

const LOOPBACK = '127.0.0.1';
const SECURITY_HEADERS = {
  'content-security-policy': LIVE_POLICY,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
};

export interface DashboardOptions {
  /** A folder of runs, or of one run. */
  readonly root: string;
  /** 0 for any free one. */
  readonly port: number;
  /** May do everything; null where only the API's tokens count. */
  readonly token: string | null;
  readonly tokens?: ApiTokens | null;
  readonly actions?: RunActions | null;
  /** Nodes, actors and objects, if there is a cluster. */
  readonly cluster?: ((runDir: string | null) => Promise<ClusterView | null>) | null;
  readonly log: Log;
}

export interface Dashboard {
  /** http://127.0.0.1:PORT/ with the token, to be printed. */
  readonly link: string;
  readonly address: string;
  /** Tells of progress within an epoch of a run of this process. */
  tell(id: string, event: RunEvent): void;
  close(): Promise<void>;
}

/** @throws UserError when the port is taken, or the page was not built. */
export async function startDashboard(options: DashboardOptions): Promise<Dashboard> {
  const { root, port, token, tokens = null, actions = null, cluster = null, log } = options;
  const folders = new RunFolders(root);
  const gate = new PageGate(token, tokens);
  const live = new LiveRuns(folders, log);
  const routes = new Routes({ folders, gate, live, actions, cluster, assets: await readPageAssets() });
  const server = createServer((request, response) => {
    answer(routes, gate, request, response).catch((thrown: unknown) => fail(request, response, thrown, log));
  });
  server.requestTimeout = 30_000;
  const bound = await listen(server, port);
  gate.usePort(bound);
  const address = `${LOOPBACK}:${bound}`;
  return {
    address,
    link: `http://${address}/${token === null ? '' : `?token=${encodeURIComponent(token)}`}`,
    tell: (id, event) => live.tell(id, event),
    async close() {
      live.close();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(
  routes: Routes,
  gate: PageGate,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
  gate.checkOrigin(request);
  await routes.answer(request, response);
}

async function fail(
  request: IncomingMessage,
  response: ServerResponse,
  thrown: unknown,
  log: Log,
): Promise<void> {
  if (response.headersSent) return void response.destroy();
  const status = thrown instanceof Refused ? thrown.status : thrown instanceof UserError ? 404 : 500;
  if (status === 500) log.error('the page failed', { path: request.url?.split('?')[0], error: thrown });
  const message = status === 500 ? 'this failed; the log says why' : toError(thrown).message;
  await send(request, response, {
    status,
    type: 'application/json',
    body: JSON.stringify({ error: message }),
  });
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const isTaken = errorCode(error) === 'EADDRINUSE';
      reject(
        isTaken
          ? new UserError(`port ${port} of the page is taken; choose another, or 0 for any`, { cause: error })
          : error,
      );
    });
    server.listen(port, LOOPBACK, () => resolve((server.address() as AddressInfo).port));
  });
}
