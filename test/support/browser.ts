/** A headless Chromium, where one is installed. */
import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { type BrowserContext, chromium } from 'playwright-core';

const TIMEOUT_MS = 90_000;
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

/** Path of the first of Chromium's usual names on the PATH; null where there is none. */
export function findBrowser(): string | null {
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
