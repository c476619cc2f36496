/**
 * Pictures of the page of a run: wide, narrow and dark. Of the suite's own run they are only looked at by the test; of a run
 * named by BALLAST_PAGE_RUN they are written to docs/images/, for README and docs.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BrowserContext } from 'playwright-core';
import { createLog } from '../common/log.ts';
import { packageRoot } from '../common/package-root.ts';
import { newToken } from '../common/tokens.ts';
import { type Dashboard, startDashboard } from '../dashboard/server/server.ts';
import { findBrowser, newPage, openBrowser } from './support/browser.ts';
import { newFolder, referenceRun } from './support/suite.ts';

const browser = findBrowser();
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

describe.skipIf(browser === null)('pictures of the page (skipped: no chromium on the PATH)', () => {
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
});
