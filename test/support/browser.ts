/** A headless Chromium, where one is installed. */
import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import axe from 'axe-core';
import { type BrowserContext, chromium, type Page } from 'playwright-core';

const TIMEOUT_MS = 90_000;
/** Of a page's waits: it may wait for a whole run on a busy machine. */
const PATIENCE_MS = 240_000;
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-sync',
  '--disable-background-networking',
  '--disable-component-update',
];

/** Path of the first of Chromium's usual names on the PATH; null if there is none. */
function findBrowser(): string | null {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    for (const folder of folders) {
      try {
        accessSync(join(folder, name), constants.X_OK);
        return join(folder, name);
      } catch {
        continue;
      }
    }
  }
  return null;
}

/** Path of this machine's Chromium; null if there is none. */
export const browser = findBrowser();
/** Added to a test's name where it cannot run; empty where it can. */
export const noBrowser = browser === null ? ' (skipped: no chromium on the PATH)' : '';

/** Opens a file with further flags and a profile of its own; resolves with what Chromium printed. */
export async function openFile(
  browser: string,
  path: string,
  flags: readonly string[],
): Promise<{ stdout: string; stderr: string }> {
  const profile = await mkdtemp(join(tmpdir(), 'ballast-profile-'));
  const args = [...FLAGS, `--user-data-dir=${profile}`, ...flags, pathToFileURL(path).href];
  try {
    return await promisify(execFile)(browser, args, { timeout: TIMEOUT_MS, maxBuffer: 64e6 });
  } finally {
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** A PNG of a page, 1600 pixels wide. */
export async function screenshot(
  browser: string,
  html: string,
  png: string,
  heightPx: number,
): Promise<void> {
  await openFile(browser, html, [
    `--screenshot=${png}`,
    `--window-size=1600,${heightPx}`,
    '--hide-scrollbars',
  ]);
}

/** Chromium to click and type in, with a profile of its own in `profile`. */
export function openBrowser(browser: string, profile: string): Promise<BrowserContext> {
  const args = FLAGS.filter((flag) => flag !== '--headless');
  return chromium.launchPersistentContext(profile, {
    executablePath: browser,
    headless: true,
    args,
    viewport: { width: 1360, height: 900 },
  });
}

/** A new page; what it complains of goes to `problems`. */
export async function newPage(context: BrowserContext, problems: string[] = []): Promise<Page> {
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
  page.on('pageerror', (error) => problems.push(error.message));
  return page;
}

/** The violations that axe finds on a page, one line each. */
export async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const found = await page.evaluate(
    async () => (await (globalThis as unknown as { axe: typeof axe }).axe.run()).violations,
  );
  return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
}

/** Calls back from now on whenever the text of the first element that `selector` finds changes, with the new text. */
export async function onText(page: Page, selector: string, onChange: (text: string) => void): Promise<void> {
  const name = `told${Math.random().toString(36).slice(2)}`;
  await page.exposeFunction(name, onChange);
  // As text: these files are checked without the types of a browser.
  await page.evaluate(`{
    const read = () => document.querySelector(${JSON.stringify(selector)})?.textContent ?? '';
    let before = read();
    new MutationObserver(() => {
      const text = read();
      if (text !== before) ${name}((before = text));
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
  }`);
}

/** Seconds that the page's main thread computed so far, whatever else the machine does. */
export async function busySeconds(page: Page): Promise<() => Promise<number>> {
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });
  return async () => {
    const { metrics } = await session.send('Performance.getMetrics');
    return metrics.find(({ name }) => name === 'TaskDuration')!.value;
  };
}
