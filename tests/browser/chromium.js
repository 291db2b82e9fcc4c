// The Chromium that the system has; Playwright's own browsers are not downloaded.
export { chromium } from '@playwright/test';

export const launchOptions = {
  executablePath: '/usr/bin/chromium',
  // Nothing is to come from elsewhere: names lead nowhere.
  args: ['--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost', '--no-proxy-server'],
};
