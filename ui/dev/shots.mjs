// Pictures of every page in the four shapes, to look at: node dev/shots.mjs URL FOLDER
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const [url = 'http://127.0.0.1:9090', folder = 'shots'] = process.argv.slice(2);
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const PAGES = {
  overview: '/',
  explore: `/explore?q=${encodeURIComponent('sum by (mode) (rate(node_cpu_seconds_total[1m]))')}&from=now-15m&to=now`,
  table: '/explore?q=up&tab=table',
  services: '/services',
  targets: '/system/targets',
};

await mkdir(folder, { recursive: true });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
for (const theme of ['dark', 'light']) {
  for (const [width, height] of [[1440, 900], [390, 844]]) {
    const phone = width < 500;
    const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, isMobile: phone, hasTouch: phone });
    const page = await context.newPage();
    for (const [name, path] of Object.entries(PAGES)) {
      await page.goto(url + path, { waitUntil: 'load' });
      // Long enough for two visits of a live tile.
      await page.waitForTimeout(2500);
      await page.screenshot({ path: join(folder, `${name}-${theme}-${width}.png`) });
    }
    await context.close();
  }
}
await browser.close();
