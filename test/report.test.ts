/**
 * report.html in a real browser: opened from disk it shows its text, reports no error, and asks the network for
 * nothing, although its class names try to.
 */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeComparisonHtml } from '../report/comparison-html.ts';
import { writeReportHtml } from '../report/html.ts';
import { CLASSES, fakeComparison, fakeRunReport } from '../report/testing/fake-records.ts';
import { findBrowser, openFile } from './support/browser.ts';

const browser = findBrowser();
const requests: string[] = [];
let server: Server;
let dir = '';

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ballast-browser-'));
  server = createServer((request, response) => {
    requests.push(request.url ?? '');
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
  await rm(dir, { recursive: true, force: true });
});

function address(): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The document after loading, and what the page wrote to the console. */
async function open(path: string): Promise<{ dom: string; console: string[] }> {
  const flags = ['--enable-logging=stderr', '--virtual-time-budget=2000', '--dump-dom'];
  const { stdout, stderr } = await openFile(browser ?? '', path, flags);
  return { dom: stdout, console: stderr.split('\n').filter((text) => text.includes('CONSOLE')) };
}

describe.skipIf(browser === null)('report.html (skipped: no chromium on the PATH)', () => {
  test('of a run', async () => {
    const leak = `<img src="${address()}/class"><script src="${address()}/script"></script>`;
    const report = {
      ...fakeRunReport(),
      classes: CLASSES.map((name) => `${name} ${leak}`),
      environment: { node: leak },
    };
    const page = await open(await writeReportHtml(dir, report));
    expect(page.console).toEqual([]);
    expect(page.dom).toContain('reached a balanced accuracy of');
    expect(page.dom).toContain('Quotas and accuracy by class');
    expect(page.dom).toContain('How to reproduce');
    expect(requests).toEqual([]);
  });

  test('of a comparison', async () => {
    const comparison = { ...fakeComparison(), title: `Tail <iframe src="${address()}/frame"></iframe>` };
    const page = await open(await writeComparisonHtml(dir, comparison));
    expect(page.console).toEqual([]);
    expect(page.dom).toContain('has the highest balanced accuracy');
    expect(page.dom).not.toContain('<iframe');
    expect(requests).toEqual([]);
  });

  test('the browser would tell: a page that does ask is caught', async () => {
    const path = join(dir, 'leaky.html');
    await writeFile(path, `<img src="${address()}/leak"><script>throw new Error('heard')</script>`);
    const page = await open(path);
    expect(page.console.join()).toContain('heard');
    expect(requests).toEqual(['/leak']);
  });
});
