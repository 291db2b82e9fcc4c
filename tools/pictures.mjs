// Takes the pictures of docs/tutorial.md: the dashboard in Chromium, while the tutorial's programs run on two nodes.
//
//   JVMCLUSTER=build/release/bin/jvmcluster node tools/pictures.mjs [FOLDER]      FOLDER: docs/pictures
import { chromium, launchOptions } from '../tests/browser/chromium.js';
import { Program, repository } from '../tests/browser/program.js';

const kMillis = 25_000;  // for charts to show something
const folder = process.argv[2] ?? repository('docs/pictures');

async function picture(browser, file, limit, name, prepare = () => {}) {
  const program = await Program.start(repository(`examples/tutorial/${file}`), { nodes: 2, workers: 1, words: [limit] });
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  await page.goto(program.url);
  await page.waitForFunction(() => document.querySelectorAll('.thread').length === 5);
  await prepare(page);
  await page.waitForTimeout(kMillis);
  await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
  await page.close();
  await program.end();
}

async function withFlames(page) {
  await page.getByRole('button', { name: 'Profile' }).click();
  await page.locator('.call', { hasText: 'steps' }).first().waitFor();
}

const browser = await chromium.launch(launchOptions);
await picture(browser, 'collatz_1.ir', 10 ** 8, 'tutorial-slow');
await picture(browser, 'collatz_3.ir', 10 ** 9, 'tutorial-fast');
await picture(browser, 'collatz_3.ir', 10 ** 9, 'tutorial-flames', withFlames);
await browser.close();
