/**
 * Pictures of the page of a run: wide, narrow and dark. Those of the suite's own run are only checked; those of a run that
 * BALLAST_PAGE_RUN names are written to docs/images/, for README and docs. And a recording of a run while it trains, one
 * frame per change of its headline, which BALLAST_PAGE_RECORDING keeps in the folder that it names.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { BrowserContext } from 'playwright-core';
import { createLog } from '../common/log.ts';
import { packageRoot } from '../common/package-root.ts';
import { newToken } from '../common/tokens.ts';
import { type Dashboard, startDashboard } from '../dashboard/server/server.ts';
import { browser, newPage, noBrowser, onText, openBrowser } from './support/browser.ts';
import { Cli } from './support/cli.ts';
import { newFolder, referenceRun, runArgs } from './support/suite.ts';

const named = process.env['BALLAST_PAGE_RUN'];
const LARGEST_BYTES = 200_000;

interface View {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly scheme: 'light' | 'dark';
  /** To jump to. */
  readonly section?: string;
}

const VIEWS: readonly View[] = [
  { name: 'page-wide', width: 1360, height: 1900, scheme: 'light' },
  { name: 'page-narrow', width: 390, height: 1500, scheme: 'light' },
  { name: 'page-dark', width: 1360, height: 1100, scheme: 'dark' },
  { name: 'page-images', width: 1100, height: 900, scheme: 'light', section: 'Images' },
];

describe.skipIf(browser === null)(`pictures of the page${noBrowser}`, () => {
  let context: BrowserContext;
  let dashboard: Dashboard;
  let out: string;
  beforeAll(async () => {
    const root = named ?? (await referenceRun()).dir;
    out = named === undefined ? newFolder('pictures') : join(packageRoot(), 'docs', 'images');
    await mkdir(out, { recursive: true });
    const log = createLog({ level: 'error' });
    dashboard = await startDashboard({ root, port: 0, token: newToken().token, log });
    context = await openBrowser(browser!, newFolder('profile'));
  });
  afterAll(async () => {
    await context?.close();
    await dashboard?.close();
  });

  it.each(VIEWS)('$name', async ({ name, width, height, scheme, section }) => {
    const page = await newPage(context);
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
    await page.goto(dashboard.link);
    await page.getByRole('table', { name: 'Runs' }).getByRole('link').first().click();
    await page.locator('.cell img').first().waitFor({ state: 'attached' });
    await page.locator('.chart canvas').first().waitFor();
    if (section !== undefined) await page.getByRole('link', { name: section, exact: true }).click();
    // A page wider than the screen would be cut off on a phone.
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
    const picture = await sharp(await page.screenshot())
      .png({ palette: true, colours: 128, compressionLevel: 9 })
      .toBuffer();
    const { channels } = await sharp(picture).stats();
    expect(channels.some(({ stdev }) => stdev > 5)).toBe(true);
    expect(picture.length).toBeLessThan(LARGEST_BYTES);
    await writeFile(join(out, `${name}.png`), picture);
    await page.close();
  });

  it('a run while it trains, as frames', async () => {
    const [epochs, name] = [15, 'shapes']; // enough that the page is open long before the last
    const root = newFolder('recorded');
    const args = await runArgs(join(root, name), '--epochs', String(epochs));
    const log = createLog({ level: 'error' });
    const live = await startDashboard({ root, port: 0, token: newToken().token, log });
    onTestFinished(() => live.close());
    const problems: string[] = [];
    const page = await newPage(context, problems);
    await page.setViewportSize({ width: 1100, height: 1000 });
    await page.goto(live.link);
    const run = Cli.start(args);
    await page.getByRole('link', { name }).click();
    await page.locator('.lead').waitFor();
    const frames: Buffer[] = [];
    let taken = Promise.resolve();
    await onText(page, '.lead', () => {
      taken = taken.then(async () => void frames.push(await page.screenshot()));
    });
    await page.locator('.pill.succeeded').waitFor({ timeout: 240_000 });
    await page.getByText(`after ${epochs} epochs`).waitFor();
    expect((await run.ended).code).toBe(0);
    await page.locator('.chart canvas').first().waitFor();
    await taken;
    frames.push(await page.screenshot());
    const out = process.env['BALLAST_PAGE_RECORDING'] ?? newFolder('recording');
    await mkdir(out, { recursive: true });
    for (const [index, frame] of frames.entries())
      await writeFile(join(out, `frame-${String(index).padStart(2, '0')}.png`), frame);
    expect(new Set(frames.map((frame) => frame.toString('base64'))).size).toBeGreaterThanOrEqual(3);
    expect(problems).toEqual([]);
    await page.close();
  });
});
