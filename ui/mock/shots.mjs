// Screenshots of all pages, in light and dark, wide and narrow, into `shots/`: `npm run build && npm run shots [name...]`.
// Fails where a page writes an error to its console. Uses Debian's Chromium, or that of CHROMIUM; URL takes another console.
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { serve } from './server.mjs';

const OUT = fileURLToPath(new URL('../shots/', import.meta.url));
const PAGES = {
  dashboard: ['/dashboards/viewing'],
  waiting: ['/dashboards/viewing?mock=waiting'],
  enlarged: ['/dashboards/viewing?panel=p5'],
  table: ['/dashboards/viewing', async (page) => {
    for (const name of ['Current viewers by channel', 'Active devices', 'Minutes by age and gender']) {
      await page.getByRole('button', { name: `${name}: show as table` }).click();
    }
  }],
  hover: ['/dashboards/viewing', async (page) => {
    const box = await page.locator('[data-panel=p5] .plot').boundingBox();
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  }],
  topics: ['/topics'],
  topic: ['/topics/actions', async (page) => page.locator('[data-row]').nth(2).click()],
  connectors: ['/connectors'],
  restart: ['/connectors', async (page) => page.getByRole('button', { name: 'Restart users' }).click()],
  queries: ['/queries', async (page) => page.locator('[data-row]').nth(1).click()],
  help: ['/topics', async (page) => page.keyboard.press('?')],
  nowhere: ['/nope'],
};
const SIZES = { wide: { width: 1440, height: 900 }, narrow: { width: 400, height: 800 } };

mkdirSync(OUT, { recursive: true });
const only = process.argv.slice(2);
const server = process.env.URL ? null : await serve(0);
const base = process.env.URL ?? `http://127.0.0.1:${server.address().port}`;
const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args });
const problems = [];
for (const [name, [path, act]] of Object.entries(PAGES)) {
  if (only.length > 0 && !only.includes(name)) continue;
  for (const [size, viewport] of Object.entries(SIZES)) {
    for (const colorScheme of ['light', 'dark']) {
      const context = await browser.newContext({ viewport, colorScheme, deviceScaleFactor: 1, reducedMotion: 'reduce' });
      const page = await context.newPage();
      page.on('console', (message) => message.type() === 'error' && problems.push(`${name}: ${message.text()}`));
      page.on('pageerror', (error) => problems.push(`${name}: ${error.message}`));
      await page.goto(base + path);
      await page.locator('.panel-body .value, .panel-empty, .list tbody tr, .empty').first().waitFor({ timeout: 15_000 });
      if (act) await act(page);
      await page.waitForTimeout(400);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
      if (wide) problems.push(`${name} ${size}: the page is wider than the window`);
      await page.screenshot({ path: `${OUT}${name}-${size}-${colorScheme}.png`, fullPage: name === 'dashboard' || name === 'waiting' });
      await context.close();
    }
  }
}
await browser.close();
server?.closeAllConnections();
server?.close();
for (const problem of new Set(problems)) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;
