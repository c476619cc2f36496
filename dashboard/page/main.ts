/** The page: finds out where its data is, and shows what the address names. */
import type { Embedded } from './embedded.ts';
import { compareRuns } from './compare-runs.ts';
import { button, h, labelled, replace } from './dom.ts';
import {
  ask,
  Failed,
  FileSource,
  type LinkState,
  LiveSource,
  post,
  runOfStudy,
  runPath,
  type Session,
} from './source.ts';
import type { RunButtons } from './views/overview.ts';
import { runPage } from './views/run.ts';
import { runHref, runsPage } from './views/runs.ts';
import { studyPage } from './views/study.ts';

const main = h('main', { id: 'main', tabindex: -1 });
const link = h('span', { class: 'link-state', role: 'status' });
const crumbs = h('nav', { class: 'crumbs', 'aria-label': 'Breadcrumb' });

const LINK_TEXTS: Readonly<Record<LinkState, string>> = {
  live: 'live',
  lost: 'connection lost; trying again',
  refused: 'not connected; trying again',
};

function setLink(state: LinkState | null): void {
  link.className = `link-state ${state ?? ''}`;
  const text = state === null ? '' : LINK_TEXTS[state];
  if (link.textContent !== text) link.textContent = text;
}

function frame(isLive: boolean): void {
  const skip = h('a', { class: 'skip', href: '#main' }, 'Skip to content');
  skip.addEventListener('click', (event) => {
    event.preventDefault();
    main.focus();
  });
  const brand = isLive
    ? h('a', { class: 'brand', href: '#/' }, 'Ballast')
    : h('span', { class: 'brand' }, 'Ballast');
  const footer = h(
    'footer',
    {},
    isLive
      ? 'Ballast'
      : 'Made by Ballast. This page is one file; it opens from disk and loads nothing from the network.',
  );
  replace(
    document.querySelector('#app')!,
    skip,
    h('header', { class: 'top' }, brand, crumbs, link),
    main,
    footer,
  );
}

function problem(message: string): HTMLElement {
  return h(
    'div',
    { class: 'problem', role: 'alert' },
    h('h1', {}, 'This cannot be shown'),
    h('p', {}, message),
  );
}

function showFile(data: Embedded): void {
  frame(false);
  const source = new FileSource(data);
  const never = new AbortController().signal;
  const besideIt = (run: string) => `./${run.split('/').map(encodeURIComponent).join('/')}/report.html`;
  replace(
    main,
    data.kind === 'study'
      ? studyPage(data.results, besideIt, data.pictures)
      : runPage(source, '.', null, () => undefined, never).element,
  );
}

/** Aborting it leaves the current view. */
let leaving = new AbortController();

async function show(source: LiveSource, session: Session): Promise<void> {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const [kind = '', rest = ''] = location.hash.replace(/^#\//, '').split('/');
  replace(crumbs);
  setLink(null);
  window.scrollTo(0, 0);
  if (kind === 'runs' && rest !== '') {
    const id = decodeURIComponent(rest);
    replace(crumbs, id !== '.' && h('span', { 'aria-current': 'page' }, id)); // '.': the folder is the run
    const buttons = session.mayAct ? runButtons(id, session.mayDelete) : null;
    replace(main, runPage(source, id, buttons, (state) => !signal.aborted && setLink(state), signal).element);
    return;
  }
  try {
    if (kind === 'studies' || kind === 'compare') {
      replace(main, h('p', { class: 'note' }, 'Reading…'));
      const ids = rest.split(',').map(decodeURIComponent);
      const content =
        kind === 'studies'
          ? await studyOf(source, ids[0]!)
          : studyPage(await compareRuns(source, ids), runHref);
      if (!signal.aborted) replace(main, content);
      return;
    }
    const page = runsPage(session.mayAct);
    replace(main, page.element);
    source.watchList(
      (list) => page.show(list),
      (state) => !signal.aborted && setLink(state),
      signal,
    );
  } catch (thrown) {
    if (!signal.aborted) replace(main, problem((thrown as Error).message));
  }
}

async function studyOf(source: LiveSource, id: string): Promise<HTMLElement> {
  const { results, pictures } = await source.study(id);
  return studyPage(results, (run) => runHref(runOfStudy(id, run)), pictures);
}

function runButtons(id: string, mayDelete: boolean): RunButtons {
  const path = runPath(id);
  const act = (work: () => Promise<unknown>, after?: () => void) =>
    void work().then(after, (thrown: unknown) => alertBox((thrown as Error).message));
  const remove = () =>
    confirmBox(`Delete ${id} with its folder? This cannot be undone.`, 'Delete', () =>
      act(
        () => post(path, {}, 'DELETE'),
        () => (location.hash = '#/'),
      ),
    );
  return {
    cancel: () => act(() => post(`${path}/cancel`, {})),
    resume: () => act(() => post(`${path}/resume`, {})),
    ...(mayDelete ? { remove } : {}),
  };
}

function dialogBox(text: string, ...buttons: readonly HTMLButtonElement[]): void {
  const box = h('dialog', { 'aria-label': text }, h('p', {}, text), h('div', { class: 'bar' }, ...buttons));
  box.addEventListener('close', () => box.remove());
  for (const one of buttons) one.addEventListener('click', () => box.close());
  document.body.append(box);
  box.showModal();
}

const alertBox = (text: string) =>
  dialogBox(
    text,
    button('Close', () => undefined),
  );
const confirmBox = (text: string, yes: string, onYes: () => void) =>
  dialogBox(
    text,
    button('Keep it', () => undefined),
    button(yes, onYes, { class: 'danger' }),
  );

/** Asks for a token; `ballast` printed one in its link, or it is one of the API's. */
function showSignIn(onSession: (session: Session) => void): void {
  const token = h('input', { type: 'password', required: true, autocomplete: 'current-password' });
  const told = h('p', { role: 'alert' });
  const form = h(
    'form',
    { class: 'sign-in' },
    h('h1', {}, 'Sign in'),
    h(
      'p',
      { class: 'note' },
      'Open the link that Ballast printed when it started, or show a token of the API.',
    ),
    labelled('Token', token),
    h('button', { type: 'submit' }, 'Sign in'),
    told,
  );
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    post<Session>('/api/session', { token: token.value }).then(
      onSession,
      (thrown: unknown) => (told.textContent = (thrown as Error).message),
    );
  });
  replace(main, form);
}

async function start(): Promise<void> {
  const data = document.querySelector('#data');
  if (data !== null) return showFile(JSON.parse(data.textContent ?? '') as Embedded);
  frame(true);
  const source = new LiveSource();
  const begin = (session: Session) => {
    const draw = () => void show(source, session);
    addEventListener('hashchange', draw);
    draw();
  };
  try {
    const session = await ask<Session>('/api/session');
    if (session.isKnown) begin(session);
    else showSignIn(begin);
  } catch (thrown) {
    replace(main, problem(thrown instanceof Failed ? thrown.message : 'The server does not answer.'));
  }
}

void start();
