/**
 * The page in a real Chromium on a real run: from an empty folder to the finished run, live, and again from report.html;
 * and what the server refuses.
 */
import { mkdtemp, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { BrowserContext } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeStudyPage, writeRunPage } from '../dashboard/report.ts';
import { CLASSES, fakeStudy, fakeRunReport } from '../report/testing/fake-records.ts';
import { browser, newPage, noBrowser, openBrowser, violations } from './support/browser.ts';
import { Cli } from './support/cli.ts';
import { EPOCHS, newFolder, runArgs } from './support/suite.ts';

let dir = '';
let env: Record<string, string> = {};
let context: BrowserContext;
const problems: string[] = [];

beforeAll(async () => {
  dir = newFolder('page');
  env = { XDG_STATE_HOME: join(dir, 'state') };
  if (browser === null) return;
  context = await openBrowser(browser, join(dir, 'profile'));
});
afterAll(async () => {
  await context?.close();
});

/** `ballast dashboard` of a folder, with the link that it printed. */
async function serve(root: string): Promise<{ cli: Cli; link: string }> {
  const cli = Cli.start(['dashboard', root], { env });
  return { cli, link: (await cli.waitFor(/dashboard: (http:\S+)\n/))[1]! };
}

describe.skipIf(browser === null)(`the page${noBrowser}`, () => {
  it('follows a run from its first event to its end, and report.html shows the same', async () => {
    const runs = join(dir, 'runs');
    const out = join(runs, 'shapes');
    const run = Cli.start(await runArgs(out));
    await run.poll('the configuration of the run', () => existsSync(join(out, 'config.json')) || null);
    const { cli, link } = await serve(runs);
    const page = await newPage(context, problems);
    await page.goto(link);
    expect(new URL(page.url()).search).toBe('');
    await page.getByRole('link', { name: 'shapes' }).click();
    await page.locator('.pill.succeeded').waitFor({ timeout: 120_000 });
    expect((await run.ended).code).toBe(0);
    await page.getByText(`after ${EPOCHS} epochs`).waitFor();
    for (const name of ['Curves', 'Classes', 'Images', 'Confusion', 'Time line', 'Events', 'Logs', 'Details'])
      await page.getByRole('heading', { name, exact: true }).waitFor();
    await page.getByRole('slider', { name: 'Epoch' }).focus();
    await page.keyboard.press('ArrowLeft');
    await expect.poll(() => page.locator('#images output').textContent()).toBe(String(EPOCHS - 1));
    for (const strip of ['made', 'nearest', 'real'])
      expect(await page.getByRole('group', { name: strip }).locator('img').count(), strip).toBeGreaterThan(0);
    expect(await violations(page)).toEqual([]);
    const alone = await serve(out); // the folder of one run
    await page.goto(alone.link);
    await page.getByRole('link', { name: 'shapes' }).click();
    await page.getByText(`after ${EPOCHS} epochs`).waitFor();
    await page.goto('about:blank'); // else the page asks for a server that is gone
    alone.cli.signal('SIGTERM');
    await alone.cli.ended;
    await page.goto(pathToFileURL(join(out, 'report.html')).href);
    await page.getByText(`after ${EPOCHS} epochs`).waitFor();
    for (const strip of ['made', 'nearest', 'real'])
      await page.getByRole('group', { name: strip }).locator('img').first().waitFor({ state: 'attached' });
    expect(await violations(page)).toEqual([]);
    expect(problems).toEqual([]);
    await page.close();
    cli.signal('SIGTERM');
    expect((await cli.ended).code).toBe(0);
  });

  it('of a report asks the network for nothing, although names try to', async () => {
    const folder = await mkdtemp(join(dir, 'hostile-'));
    const leak = `<img src="http://127.0.0.1:9/x"><script>document.title='taken'</script></script>`;
    const report = { ...fakeRunReport({ method: leak }), classes: CLASSES.map((name) => `${name} ${leak}`) };
    const page = await newPage(context, problems);
    const requests: string[] = [];
    page.on('request', (request) => request.url().startsWith('http') && requests.push(request.url()));
    for (const path of [
      await writeRunPage(folder, report),
      await writeStudyPage(folder, { ...fakeStudy(), title: leak }),
    ]) {
      await page.goto(pathToFileURL(path).href);
      await page.getByText('balanced accuracy').first().waitFor();
      expect(await page.locator('img[src^="http"], main script').count()).toBe(0);
      expect(await page.title()).toContain('<img');
    }
    expect(requests).toEqual([]);
    expect(problems).toEqual([]);
    await page.close();
  });
});

describe('the server of the page', () => {
  it('refuses strangers, other hosts, other sites and paths that lead out', async () => {
    const root = await mkdtemp(join(dir, 'root-'));
    await writeFile(join(dir, 'secret.log'), 'secret');
    const { cli, link } = await serve(root);
    const { origin, searchParams } = new URL(link);
    const token = searchParams.get('token')!;
    const known = { authorization: `Bearer ${token}` };
    const status = async (path: string, headers: Record<string, string> = known, method = 'GET') =>
      (await fetch(origin + path, { method, headers, redirect: 'manual' })).status;
    expect(await status('/api/runs')).toBe(200);
    expect(await status('/api/runs', {})).toBe(401);
    expect(await status('/api/runs', { authorization: 'Bearer blt_wrong' })).toBe(401);
    expect(await status('/api/runs', { ...known, origin: 'http://evil.example' })).toBe(403);
    expect(await status('/api/runs', { ...known, 'sec-fetch-site': 'cross-site' })).toBe(403);
    for (const path of ['..%2Fsecret.log', '..', '%2e%2e%2f%2e%2e%2fetc', '%2Fetc', 'a%00b'])
      expect(await status(`/api/runs/${path}/logs/secret.log`), path).toBe(404);
    expect(await status('/api/runs/./logs/..%2F..%2Fsecret.log')).toBe(404);
    expect(await status('/api/runs/x/cancel', known, 'POST')).toBe(409);
    const page = await fetch(origin);
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(
      (await fetch(`${origin}/?token=wrong`, { redirect: 'manual' })).headers.get('set-cookie'),
    ).toBeNull();
    cli.signal('SIGTERM');
    const end = await cli.ended;
    expect([end.code, end.stderr]).toEqual([0, '']);
  });
});
