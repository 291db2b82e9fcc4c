// speedscope itself reads what `jvmcluster prof --format speedscope` writes, and shows the hot line first.
import { test, expect } from '@playwright/test';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { jvmcluster, repository } from './program.js';

const kSite = 'http://localhost/';  // nobody is asked: its files are the package's
const kFiles = dirname(createRequire(import.meta.url).resolve('speedscope/dist/release/index.html'));

test('a profile of all threads opens in speedscope', async ({ page }) => {
  const words = ['prof', '--load', repository('tests/system/profiles/known.json'), '--format', 'speedscope'];
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(error.stack));
  page.on('dialog', async (dialog) => {
    complaints.push(dialog.message());
    await dialog.dismiss();
  });
  await page.route(`${kSite}**`, (route) => {
    const name = new URL(route.request().url()).pathname.slice(1) || 'index.html';
    return route.fulfill({ path: join(kFiles, name) });
  });
  await page.goto(kSite);
  await page.locator('input[type=file]').setInputFiles(
    { name: 'cpu.speedscope.json', mimeType: 'application/json', buffer: Buffer.from(await jvmcluster(words)) });
  await expect(page).toHaveTitle('hall.ir cpu - speedscope');
  await page.getByText('Sandwich').click();
  await expect(page.locator('table tr').filter({ hasText: '%' }).first()).toHaveText('600.00ms (75%)600.00ms (75%)divide');
  await page.screenshot({ path: `${process.env.JVMC_PICTURES}/speedscope.png` });
  expect(complaints).toEqual([]);
});
