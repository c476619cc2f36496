/** Routes of the page's server. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { toError } from '../../common/errors.ts';
import type { Scope } from '../../common/tokens.ts';
import { liveDocument, type PageAssets } from '../document.ts';
import type { ClusterView } from '../model/cluster-view.ts';
import { readGrid, readPicture } from '../model/grids.ts';
import { readLogTail } from '../model/log-tail.ts';
import { readMistakes } from '../model/mistakes.ts';
import type { RunFolders } from '../model/run-list.ts';
import { listGrids, readStudy, type StudyView } from '../model/studies.ts';
import type { PageGate } from './gate.ts';
import type { LiveRuns } from './live-runs.ts';
import { Refused } from './refused.ts';
import { bodyOf, EventStream, json, send } from './replies.ts';
import type { RunActions } from './actions.ts';

export interface RouteParts {
  readonly folders: RunFolders;
  readonly gate: PageGate;
  readonly live: LiveRuns;
  readonly actions: RunActions | null;
  readonly cluster: ((runDir: string | null) => Promise<ClusterView | null>) | null;
  readonly assets: PageAssets;
}

/** The scope of a request by its method, as the API's methods ask for it; `submit` for all others. */
const SCOPES: Readonly<Record<string, Scope>> = { GET: 'read', HEAD: 'read', DELETE: 'admin' };

/** A request with what its address says. */
interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly method: string;
  readonly query: URLSearchParams;
}

export class Routes {
  readonly #parts: RouteParts;

  constructor(parts: RouteParts) {
    this.#parts = parts;
  }

  /** @throws Refused, or UserError for a run that is not there */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const call: Call = { request, response, method: request.method ?? 'GET', query: url.searchParams };
    const path = url.pathname.split('/').slice(1).map(decodePart);
    if (path[0] !== 'api') return this.#document(call, url.pathname);
    if (path[1] === 'session') return this.#session(call);
    this.#parts.gate.admit(request, SCOPES[call.method] ?? 'submit');
    if (path[1] === 'runs' && path[2] !== undefined)
      return this.#run(call, path[2].replace(/^\.\//, ''), path.slice(3));
    if (path[1] === 'runs') return this.#runs(call);
    if (path[1] === 'list' && call.method === 'GET')
      return this.#parts.live.watchList(() => this.#stream(call));
    if (path[1] === 'studies' && path[2] !== undefined)
      return send(request, response, json(await this.#study(path[2])));
    if (path[1] === 'cluster')
      return send(request, response, json((await this.#parts.cluster?.(null)) ?? null));
    throw new Refused(404, 'there is nothing here');
  }

  async #study(id: string): Promise<StudyView> {
    const { folders } = this.#parts;
    const results = await readStudy(await folders.dirOf(id));
    // results.json may name runs outside the page's folder; their pictures are not shown.
    const grids = await listGrids(results, (run) => folders.dirOf(join(id, run)).catch(() => null));
    return { results, grids };
  }

  async #document(call: Call, path: string): Promise<void> {
    const { request, response, query } = call;
    const { gate, assets } = this.#parts;
    if (path === '/assets/page.js')
      return send(request, response, { type: 'text/javascript', body: assets.script });
    if (path === '/assets/page.css') return send(request, response, { type: 'text/css', body: assets.style });
    if (path !== '/') throw new Refused(404, 'there is nothing here');
    const token = query.get('token');
    if (token === null) return send(request, response, { type: 'text/html', body: liveDocument() });
    // The token leaves the address, and with it the browser's history.
    const isKnown = gate.scopesOf(token) !== null;
    response.writeHead(303, { location: '/', ...(isKnown ? { 'set-cookie': gate.cookieOf(token) } : {}) });
    response.end();
  }

  /** The rights of this browser; POST shows a token, DELETE forgets it. */
  async #session({ request, response, method }: Call): Promise<void> {
    const { gate, actions, cluster } = this.#parts;
    let scopes = gate.scopes(request);
    if (method === 'POST') {
      const { token } = await bodyOf(request);
      scopes = typeof token === 'string' ? gate.scopesOf(token) : null;
      if (scopes === null) throw new Refused(401, 'this token is not known here');
      response.setHeader('set-cookie', gate.cookieOf(String(token)));
    }
    if (method === 'DELETE') {
      response.setHeader('set-cookie', gate.forgetCookie());
      scopes = null;
    }
    const may = (scope: Scope) => actions !== null && (scopes?.has(scope) ?? false);
    const rights = { mayAct: may('submit'), mayDelete: may('admin') };
    const isKnown = scopes !== null;
    return send(request, response, json({ isKnown, ...rights, hasCluster: cluster !== null }));
  }

  async #runs({ request, response, method }: Call): Promise<void> {
    if (method === 'GET') return send(request, response, json(await this.#parts.folders.list()));
    if (method !== 'POST') throw new Refused(405, 'GET or POST');
    const { config, id } = await bodyOf(request);
    if (typeof config !== 'object' || config === null || typeof id !== 'string')
      throw new Refused(400, 'send config and id');
    await this.#act(request, response, async (actions) => ({ id: await actions.start(config, id) }));
  }

  async #run(call: Call, id: string, [part = '', name = '']: readonly string[]): Promise<void> {
    const { request, response, method, query } = call;
    if (method === 'DELETE' && part === '')
      return this.#act(request, response, async (actions) => ({ done: await actions.remove(id) }));
    if (method === 'POST' && part === 'cancel')
      return this.#act(request, response, async (actions) => ({ done: await actions.cancel(id) }));
    if (method === 'POST' && part === 'resume')
      return this.#act(request, response, async (actions) => ({ done: await actions.resume(id) }));
    if (method !== 'GET') throw new Refused(405, 'this cannot be done here');
    const { folders, live, cluster } = this.#parts;
    if (part === 'stream') return live.watch(id, () => this.#stream(call));
    const dir = await folders.dirOf(id);
    if (part === 'grids') return send(request, response, json(await readGrid(dir, name)));
    if (part === 'pictures')
      return send(request, response, {
        type: 'image/png',
        body: await readPicture(dir, name),
        headers: { 'cache-control': 'private, max-age=600' },
      });
    if (part === 'logs')
      return send(request, response, json(await readLogTail(dir, name, query.get('before'))));
    if (part === 'mistakes') return send(request, response, json(await readMistakes(dir, name, query)));
    if (part === 'cluster') return send(request, response, json((await cluster?.(dir)) ?? null));
    throw new Refused(404, 'there is nothing here');
  }

  async #act(
    request: IncomingMessage,
    response: ServerResponse,
    work: (actions: RunActions) => Promise<object>,
  ): Promise<void> {
    const { actions } = this.#parts;
    if (actions === null) throw new Refused(409, 'no coordinator works here: use the command line');
    try {
      return await send(request, response, json(await work(actions)));
    } catch (thrown) {
      throw new Refused(400, toError(thrown).message);
    }
  }

  #stream({ response }: Call): EventStream {
    const stream: EventStream = new EventStream(response, () => this.#parts.live.forget(stream));
    return stream;
  }
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new Refused(400, 'the address is damaged');
  }
}
