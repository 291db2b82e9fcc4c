// The dashboard as users see it: a program on three nodes in a browser, on a desk and on a phone, by day and by night.
import { test as base, expect } from '@playwright/test';
import { createRequire } from 'node:module';
import { Program, repository } from './program.js';

const kProgram = repository('tests/system/programs/busy_hall.ir');
const kThreads = 8;  // of the program
const kPhone = { viewport: { width: 360, height: 780 }, isMobile: true, hasTouch: true };
const kAxe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

const test = base.extend({
  /** What the page is to show; tests share it. */
  program: [async ({}, use) => {
    const program = await Program.start(kProgram, { nodes: 3, workers: 2 });
    await use(program);
    await program.end();
  }, { scope: 'worker' }],

  /** A page that neither complains nor asks anybody but its server. */
  page: async ({ page }, use) => {
    const complaints = [], asked = new Set();
    page.on('pageerror', (error) => complaints.push(error.stack));
    page.on('console', (said) => ['error', 'warning', 'assert'].includes(said.type()) && complaints.push(said.text()));
    page.on('request', (request) => request.url().startsWith('data:') || asked.add(new URL(request.url()).origin));
    await page.addInitScript({ path: kAxe });
    await use(page);
    expect(complaints).toEqual([]);
    expect([...asked]).toEqual([new URL(page.url()).origin]);
  },
});

const picture = (page, name, options = { fullPage: true }) =>
  page.screenshot({ path: `${process.env.JVMC_PICTURES}/${name}.png`, ...options });

async function open(page, url) {
  await page.goto(url);
  await expect(page.locator('.node')).toHaveCount(3);
  await expect(page.locator('.thread')).toHaveCount(kThreads);
  await expect(page.locator('.chart canvas')).toHaveCount(6);
}

/** What axe finds wrong for those who see little, hear a screen reader or have no mouse: contrast, names, roles, focus. */
async function barriers(page) {
  const { violations } = await page.evaluate(() => window.axe.run());
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html} ${node.failureSummary}`));
}

/** How many pixels of each chart are not blank. */
const painted = (page) => page.locator('.chart canvas').evaluateAll((charts) => charts.map((canvas) => {
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  return copy.getImageData(0, 0, canvas.width, canvas.height).data.filter((value, i) => i % 4 === 3 && value > 0).length;
}));

const widthOf = (page) => page.evaluate(() => Math.max(document.documentElement.scrollWidth,
  ...[...document.querySelectorAll('.node, .card, .chart')].map((part) => part.getBoundingClientRect().right)));

for (const colorScheme of ['light', 'dark']) {
  test.describe(colorScheme, () => {
    test.use({ colorScheme });

    test('shows nodes, threads and charts, and a move as a way from node to node', async ({ page, program }) => {
      await open(page, program.url);
      const shown = await page.locator('.thread').evaluateAll((all) => all.map(({ dataset }) => [dataset.thread, dataset.node]));
      const known = (await program.threads()).map(({ id, node }) => [String(id), String(node)]);
      expect(Object.fromEntries(shown)).toEqual(Object.fromEntries(known));
      await expect(page.locator('.threads tbody tr')).toHaveCount(kThreads);
      // Names come from the program: they are text, whatever is in them.
      await expect(page.locator('.threads .name', { hasText: 'clerk <b>&' })).toHaveCount(1);
      await expect(page.locator('b')).toHaveCount(0);

      await expect(page.locator('.chart output').first()).toHaveText(/cores$/);
      await expect.poll(async () => Math.min(...await painted(page))).toBeGreaterThan(500);

      const { id, node } = (await program.threads()).find(({ name }) => name === 'clock-1');
      const target = (node + 1) % 3;
      const dot = page.locator(`.thread[data-thread="${id}"]`);
      const before = await dot.boundingBox();
      await program.command('migrate', id, target);
      await expect(dot).toHaveAttribute('data-node', String(target));
      await expect(dot).toHaveClass(/\bmoved\b/);
      await expect(page.locator('.trail')).not.toHaveCount(0);
      await picture(page, `desktop-${colorScheme}-move`, {});
      await expect(page.locator('.trail')).toHaveCount(0);  // it has arrived
      const after = await dot.boundingBox();
      expect(Math.hypot(after.x - before.x, after.y - before.y)).toBeGreaterThan(50);
      await expect(page.locator('#events li', { has: page.locator('.badge.move') }).first())
        .toContainText(`clock-1 (${id}) moved from node ${node} to node ${target}`);
      await picture(page, `desktop-${colorScheme}`);
    });

    test('can be read and used by everybody', async ({ page, program }) => {
      await open(page, program.url);
      expect(await barriers(page)).toEqual([]);
      await page.getByRole('button', { name: 'Profile' }).click();
      await expect(page.locator('.call', { hasText: 'grind' })).not.toHaveCount(0);
      expect(await barriers(page)).toEqual([]);
      await page.getByRole('button', { name: 'Stop' }).click();
    });

    test.describe('on a phone', () => {
      test.use(kPhone);

      test('needs no sideways scrolling', async ({ page, program }) => {
        await open(page, program.url);
        expect(await widthOf(page)).toBeLessThanOrEqual(kPhone.viewport.width);
        expect(await barriers(page)).toEqual([]);
        await picture(page, `phone-${colorScheme}`);
        await picture(page, `phone-${colorScheme}-top`, {});
      });
    });
  });
}

test('the theme is that of the system until one is chosen, and that is remembered', async ({ page, program }) => {
  const back = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await page.emulateMedia({ colorScheme: 'light' });
  await open(page, program.url);
  const light = await back();
  await page.emulateMedia({ colorScheme: 'dark' });
  await expect.poll(back).not.toBe(light);
  await page.getByRole('button', { name: 'Theme: auto' }).click();
  await expect(page.locator('#theme')).toHaveText('Theme: light');
  expect(await back()).toBe(light);
  await page.reload();
  expect(await back()).toBe(light);
});

test('the keyboard reaches threads and sorts the table', async ({ page, program }) => {
  await open(page, program.url);
  const chosen = page.locator('.thread.chosen'), tip = page.locator('#tip');
  await page.locator('#map').focus();
  await page.keyboard.press('ArrowRight');
  await expect(tip).toBeVisible();
  const first = await chosen.getAttribute('data-thread');
  await page.keyboard.press('ArrowRight');
  await expect(chosen).not.toHaveAttribute('data-thread', first);
  await page.keyboard.press('Enter');
  await expect(page.locator('.threads tr.chosen')).toHaveCount(1);
  await page.keyboard.press('Escape');
  await expect(tip).toBeHidden();

  const names = page.locator('.threads tbody tr .name span');
  await page.getByRole('button', { name: 'Thread', exact: true }).focus();
  await page.keyboard.press('Enter');
  await expect(page.locator('.threads th').first()).toHaveAttribute('aria-sort', 'ascending');
  const sorted = await names.allTextContents();
  expect(sorted).toEqual([...sorted].sort());
  await page.locator('#filter').fill('mill');
  await expect(names).toHaveText(['mill-1', 'mill-2', 'mill-3', 'mill-4']);
});

test('a flame graph grows while it is switched on, and shows a function at full width', async ({ page, program }) => {
  await open(page, program.url);
  await expect(page.locator('.call')).toHaveCount(0);
  await page.getByRole('button', { name: 'Profile' }).click();
  const grind = page.locator('.call', { hasText: 'grind' }).first();
  await expect(page.locator('.call', { hasText: 'mill' })).not.toHaveCount(0);
  await grind.click();
  const whole = await page.locator('#flame').evaluate((flame) => flame.clientWidth);
  await expect.poll(() => grind.evaluate((call) => call.clientWidth)).toBeGreaterThan(whole - 5);
  await picture(page, 'flame');
  await page.getByRole('button', { name: 'Stop' }).click();
});

test('nodes come and go', async ({ page, program }) => {
  await open(page, program.url);
  const { node } = JSON.parse(await program.command('grow', '--json'));
  await expect(page.locator(`.node[data-node="${node}"]`)).toBeVisible();
  await program.command('drain', node);
  await expect(page.locator('.node')).toHaveCount(3);
  await page.getByRole('button', { name: 'Nodes', exact: true }).click();
  const events = page.locator('#events .text');
  await expect(events.filter({ hasText: `node ${node} joined` })).toHaveCount(1);
  await expect(events.filter({ hasText: `node ${node} left` })).toHaveCount(1);
});

test.describe('on a phone', () => {
  test.use(kPhone);

  test("the balancer's decisions have reasons", async ({ page }) => {
    const program = await Program.start(kProgram, { nodes: 3, workers: 2, balance: 'rotate' });
    try {
      await page.goto(program.url);
      await expect(page.locator('#events .badge.balance')).not.toHaveCount(0);
      await page.getByRole('button', { name: 'Balancer' }).click();
      await expect(page.locator('#events .badge:not(.balance)')).toHaveCount(0);
      await expect(page.locator('#events .text').first())
        .toHaveText(/^\S.* from node \d to node \d: [a-z].*; gain expected \d.*; [a-z -]+$/);
      expect(await widthOf(page)).toBeLessThanOrEqual(kPhone.viewport.width);
      await page.getByRole('button', { name: 'Profile' }).click();
      await expect(page.locator('.call', { hasText: 'mill' })).not.toHaveCount(0);
      await picture(page, 'phone-balancer');
      await page.close();  // before its server goes
    } finally {
      await program.end();
    }
  });
});
