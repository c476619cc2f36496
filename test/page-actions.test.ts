/**
 * Every button of the page beside a coordinator, in a real Chromium: a run is started, cancelled, resumed and deleted, as
 * far as the token allows; and the page that is open while the coordinator is started again.
 */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newToken, type Scope } from '../common/tokens.ts';
import { browser, newPage, noBrowser, openBrowser, violations } from './support/browser.ts';
import { startCoordinator, type TestCoordinator } from './support/coordinator.ts';
import { BUDGET, newFolder, SHARD_SIZE, shapesData, shapesPrior } from './support/suite.ts';

const WAIT = { timeout: 120_000 };

/** The suite's tiny run, as a user would paste it. */
async function configuration(epochs: number): Promise<string> {
  return JSON.stringify({
    method: 'iois',
    data: { source: await shapesData() },
    prior: await shapesPrior(),
    training: { epochs, batchSize: 4 },
    synthesis: { budget: BUDGET, shardSize: SHARD_SIZE },
    classifier: { widths: [8, 16], groups: 4 },
  });
}

async function startRun(page: Page, name: string, config: string): Promise<void> {
  await page.getByText('From a configuration').click();
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Configuration (JSON)').fill(config);
  await page.getByRole('button', { name: 'Start run' }).click();
}

const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click();

async function stop(coordinator: TestCoordinator): Promise<void> {
  coordinator.close();
  coordinator.cli.signal('SIGTERM');
  await coordinator.cli.ended;
}

describe.skipIf(browser === null)(`the page of a coordinator${noBrowser}`, () => {
  let context: BrowserContext;
  beforeAll(async () => {
    context = await openBrowser(browser!, newFolder('profile'));
  });
  afterAll(async () => {
    await context?.close();
  });

  it('starts, cancels, resumes and deletes a run, and lives on when the coordinator is started again', async () => {
    const folder = newFolder('page-actions');
    const env = { XDG_STATE_HOME: join(folder, 'state') };
    const first = await startCoordinator(folder, ['--dashboard-port', '0'], env);
    const [, link = ''] = await first.cli.waitFor(/^page: +(\S+)$/m);
    const page = await newPage(context);
    await page.goto(link);
    await startRun(page, 'made', '{ "method": ');
    await page.getByRole('alert').filter({ hasText: /JSON/ }).waitFor();
    await page.getByLabel('Configuration (JSON)').fill('{ "method": "magic" }');
    await press(page, 'Start run');
    await page.getByRole('alert').filter({ hasText: 'method' }).waitFor();
    await page.getByLabel('Configuration (JSON)').fill(await configuration(400));
    await press(page, 'Start run');

    await page.locator('.pill.running').waitFor(WAIT);
    await page.getByRole('table', { name: 'Actors' }).getByText('made').first().waitFor(WAIT);
    expect(await violations(page)).toEqual([]);
    await press(page, 'Cancel run');
    await page.locator('.pill.cancelled').waitFor(WAIT);
    await press(page, 'Resume run');
    await page.locator('.pill.running').waitFor(WAIT);

    await stop(first);
    await page.getByText('trying again').waitFor();
    const again = await startCoordinator(folder, ['--dashboard-port', new URL(link).port], env);
    await page.getByText('live', { exact: true }).waitFor(WAIT);
    const epochs = async () =>
      Number(/after (\d+)/.exec((await page.locator('.lead').textContent()) ?? '')?.[1]);
    await expect.poll(epochs, WAIT).toBeGreaterThan(0);
    await press(page, 'Cancel run');
    await page.locator('.pill.cancelled').waitFor(WAIT);

    await press(page, 'Delete run');
    await press(page, 'Keep it');
    expect(existsSync(join(folder, 'runs', 'made'))).toBe(true);
    await press(page, 'Delete run');
    await press(page, 'Delete');
    await page.getByText('There is no run here yet').waitFor();
    expect(existsSync(join(folder, 'runs', 'made'))).toBe(false);
    await page.close();
    await stop(again);
  });

  it('offers what the token allows, and nothing without one', async () => {
    const folder = newFolder('page-tokens');
    const made = (['read', 'submit', 'admin'] as const).map((scope: Scope) => ({ scope, ...newToken() }));
    const entries = made.map(
      ({ scope, sha256 }) => `  - { name: ${scope}, sha256: ${sha256}, scopes: [${scope}] }`,
    );
    await writeFile(join(folder, 'tokens.yaml'), `tokens:\n${entries.join('\n')}\n`, { mode: 0o600 });
    const flags = ['--dashboard-port', '0', '--tokens', join(folder, 'tokens.yaml')];
    const coordinator = await startCoordinator(folder, flags);
    const [, link = ''] = await coordinator.cli.waitFor(/^page: +(\S+)$/m);
    const page = await newPage(context);
    await page.goto(link);
    await page.getByLabel('Token').fill('blt_wrong');
    await press(page, 'Sign in');
    await page.getByText('this token is not known here').waitFor();
    expect(await violations(page)).toEqual([]);
    await page.getByLabel('Token').fill(made[0]!.token);
    await press(page, 'Sign in');
    await page.getByText('There is no run here yet').waitFor();
    expect(await page.getByText('Start a run').count()).toBe(0);
    const refused = await page.evaluate(async () => {
      const headers = { 'content-type': 'application/json' };
      return (await fetch('/api/runs', { method: 'POST', headers, body: '{"id":"x","config":{}}' })).status;
    });
    expect(refused).toBe(403);

    const signInWith = async ({ token }: { readonly token: string }) => {
      await context.clearCookies();
      await page.reload();
      await page.getByLabel('Token').fill(token);
      await press(page, 'Sign in');
    };
    await signInWith(made[1]!);
    await startRun(page, 'short', await configuration(1));
    await page.locator('.pill.succeeded').waitFor(WAIT);
    expect(await page.getByRole('button', { name: 'Resume run' }).count()).toBe(0);
    expect(await page.getByRole('button', { name: 'Delete run' }).count()).toBe(0);
    const remove = async () => (await fetch('/api/runs/short', { method: 'DELETE' })).status;
    expect(await page.evaluate(remove)).toBe(403);
    await signInWith(made[2]!);
    await page.getByRole('button', { name: 'Delete run' }).waitFor();
    expect(await page.evaluate(remove)).toBe(200);
    await page.close();
    await stop(coordinator);
  });
});
