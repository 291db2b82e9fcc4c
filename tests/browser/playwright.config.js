// Tests in a browser. Pictures are kept in JVMC_PICTURES, to be looked at after a change of what is drawn.
import { defineConfig } from '@playwright/test';
import { launchOptions } from './chromium.js';

export default defineConfig({
  testMatch: '*_test.js',
  outputDir: `${process.env.JVMC_PICTURES}/failures`,
  preserveOutput: 'failures-only',
  workers: 1,
  timeout: 120_000,
  expect: { timeout: 40_000 },  // the machine may be busy
  reporter: 'list',
  use: { launchOptions, viewport: { width: 1280, height: 900 }, screenshot: 'only-on-failure' },
});
