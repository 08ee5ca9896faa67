// dashboard.mjs URL BD-RECORD OUT: what a person sees of a live demo at URL, in a real browser. BD-RECORD is the file with bd's process
// id (DATA/run/bd.json): the last check kills it. Prints what fails, each with a picture in the folder OUT.
// Chromium is Debian's, or that of CHROMIUM; playwright-core is the UI's.
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const { chromium } = createRequire(new URL('../../ui/package.json', import.meta.url))('playwright-core');
const [url, bd, out] = process.argv.slice(2);
const SOON = 20_000;
const DASHBOARD = '/dashboards/viewing';

class Failure extends Error {}

function ensure(is, what) {
  if (!is) throw new Failure(what);
}

/** Looks again until there is an answer that is not null, false or an error. */
async function until(what, look, patience = SOON) {
  const end = Date.now() + patience;
  let last = '';
  for (;;) {
    try {
      const found = await look();
      if (found !== null && found !== false && found !== undefined) return found;
    } catch (error) {
      last = ` (${error.message})`;
    }
    if (Date.now() > end) throw new Failure(`${what}: not within ${patience / 1000} s${last}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The text of each panel's number. */
const numbers = (page) =>
  page.evaluate(() => {
    const titles = [...document.querySelectorAll('[data-panel]')].filter((panel) => panel.querySelector('.value'));
    return Object.fromEntries(titles.map((p) => [p.querySelector('h2').textContent, p.querySelector('.value').textContent]));
  });

const STATS = ['Watching now', 'Events per second', 'Newest row', 'Subscribers', 'Shows watched'];
const MOVING = ['Watching now', 'Events per second', 'Newest row', 'Shows watched'];

const shown = (page) =>
  until('all numbers', async () => {
    const all = await numbers(page);
    return STATS.every((name) => /\d/.test(all[name] ?? '')) && all;
  });

/** Waits until each of these numbers has had another value than at first. */
async function moves(page, names) {
  const first = await shown(page);
  const still = new Set(names);
  await until('numbers that move', async () => {
    const now = await numbers(page);
    for (const name of still) if (/\d/.test(now[name]) && now[name] !== first[name]) still.delete(name);
    if (still.size > 0) throw new Error(`still: ${[...still].join(', ')}`);
    return true;
  });
}

/** The coloured (not grey) pixels of each canvas, by the title of its panel. */
const coloured = (page) =>
  page.evaluate(() => {
    const of = (canvas) => {
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      let count = 0;
      for (let i = 0; i < data.length; i += 4) {
        const [r, g, b, a] = data.subarray(i, i + 4);
        if (a > 100 && Math.max(r, g, b) - Math.min(r, g, b) > 50) count += 1;
      }
      return count;
    };
    const panels = [...document.querySelectorAll('[data-panel]')].filter((panel) => panel.querySelector('canvas'));
    return panels.map((panel) => [panel.querySelector('h2').textContent, of(panel.querySelector('canvas'))]);
  });

/** From 0, black, to 1, white. */
const brightness = (page) =>
  page.evaluate(() => {
    const [r, g, b] = getComputedStyle(document.documentElement).backgroundColor.match(/[\d.]+/g).map(Number);
    return (r + g + b) / 3 / 255;
  });

const button = (page, name) => page.getByRole('button', { name, exact: true });
const rows = (page) => page.locator('.list tbody tr:not(.detail)');
const texts = async (locator) => (await locator.allTextContents()).map((text) => text.trim());

async function dashboard(page, scheme) {
  await page.goto(url);
  await page.waitForURL(`**${DASHBOARD}`, { timeout: SOON });
  const bright = await brightness(page);
  ensure(scheme === 'light' ? bright > 0.8 : bright < 0.25, `the ${scheme} theme has a background of brightness ${bright}`);
  await shown(page);
  await moves(page, MOVING);
  const charts = await until('lines in all charts', async () => {
    const all = await coloured(page);
    if (!all.every(([, pixels]) => pixels > 150)) throw new Error(JSON.stringify(all));
    return all.length > 0 && all;
  });
  ensure(charts.length === 2, `two charts over time, not ${charts.length}`);
  await until('devices on the map', async () => (await page.locator('[data-panel] .dots circle').count()) > 0);
  const map = await page.locator('.map-foot > span').textContent();
  ensure(/^[1-9]/.test(map), `the map counts devices: ${map}`);
  await until('top shows', async () => (await page.locator('.top-list li').count()) > 0);
  await until('bars of four ages', async () => {
    const bars = await texts(page.locator('.bar-row .num'));
    return bars.length === 4 && bars.some((bar) => /[1-9]/.test(bar));
  });
  await until('ads with their reach', async () => (await page.locator('.panel.table tbody tr').count()) > 0);
  const wrong = await texts(page.locator('.panel-empty, .stale-mark, .failed, .notice'));
  ensure(wrong.length === 0, `nothing is missing: ${wrong}`);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  ensure(wide <= 0, `the page is ${wide} px wider than the window`);
}

async function keyboard(page) {
  await page.goto(url + DASHBOARD);
  await shown(page);
  await page.keyboard.press('Tab');
  ensure(await page.evaluate(() => document.activeElement.matches('a.skip')), 'the first Tab reaches the skip link');
  ensure(await page.locator('a.skip').isVisible(), 'the skip link shows when it is reached');
  await page.keyboard.press('Enter');
  ensure(await page.evaluate(() => document.activeElement.id === 'main'), 'the skip link leads to the content');
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor({ timeout: SOON });
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached', timeout: SOON });
  for (const [key, path] of [['t', '/topics'], ['c', '/connectors'], ['q', '/queries'], ['d', DASHBOARD]]) {
    await page.keyboard.press('g');
    await page.keyboard.press(key);
    await page.waitForURL(`**${path}`, { timeout: SOON });
  }
}

async function state(page) {
  await page.goto(`${url}/?range=1h`);
  await page.waitForURL(`**${DASHBOARD}?range=1h`, { timeout: SOON });
  await button(page, '5m').click();
  await button(page, 'Current viewers by channel: enlarge').click();
  await page.waitForURL(/range=5m.*panel=/, { timeout: SOON });
  await page.reload();
  await until('the range after a reload', async () => (await button(page, '5m').getAttribute('aria-pressed')) === 'true');
  await until('the enlarged panel after a reload, with its lines', async () => {
    const [title] = await texts(page.locator('.panel.enlarged h2'));
    const lines = new Map(await coloured(page)).get(title) ?? 0;
    if (title !== 'Current viewers by channel' || lines <= 150) throw new Error(`${title}: ${lines}`);
    return true;
  });
  await page.keyboard.press('Escape');
  await page.waitForURL(`**${DASHBOARD}?range=5m`, { timeout: SOON });
  // 15m is the dashboard's own: it needs no parameter.
  await button(page, '15m').click();
  await page.waitForURL(`**${DASHBOARD}`, { timeout: SOON });
}

async function topics(page) {
  await page.goto(`${url}/topics`);
  const search = page.getByRole('searchbox');
  await search.fill('act');
  await page.waitForURL('**/topics?q=act', { timeout: SOON });
  await page.reload();
  await until('the filtered topics', async () => (await texts(page.locator('.list [data-row]'))).join() === 'actions,actions-dlq');
  ensure((await search.inputValue()) === 'act', 'the filter after a reload');
  await page.locator('.list [data-row]').first().click();
  await page.waitForURL('**/topics/actions', { timeout: SOON });

  // The newest messages, live.
  const newest = async () => Number((await texts(page.locator('.messages [data-row]'))).at(0));
  const first = await until('messages', async () => (await newest()) || null);
  await until('newer messages', async () => (await newest()) > first);
  const value = JSON.parse((await texts(page.locator('.messages .preview'))).at(0));
  ensure(Number.isInteger(value.action_ts) && Number.isInteger(value.device_id), `an action: ${JSON.stringify(value)}`);
  await page.locator('.messages [data-row]').first().click();
  const facts = await page.locator('.messages .detail').textContent();
  ensure(facts.includes('json') && facts.includes('mqtt.topic'), `format and headers: ${facts}`);

  // From an offset on.
  await page.getByLabel('From offset').fill('3');
  await page.keyboard.press('Enter');
  await page.waitForURL('**/topics/actions?partition=0&offset=3', { timeout: SOON });
  await page.reload();
  await until('messages from offset 3 on', async () => (await texts(page.locator('.messages [data-row]'))).includes('3'));
}

async function avro(page) {
  await page.goto(`${url}/topics/tv.tv.users`);
  await until('users', async () => (await rows(page).count()) > 0);
  const user = JSON.parse((await texts(page.locator('.messages .preview'))).at(0));
  ensure(Object.keys(user).join() === 'user_id,name,age,gender', `a user: ${JSON.stringify(user)}`);
  await page.locator('.messages [data-row]').first().click();
  await until('decoded by its schema', async () => {
    const facts = await texts(page.locator('.messages .detail dd'));
    return facts.some((fact) => /^avro, schema \d+/.test(fact));
  });
}

async function connectors(page) {
  await page.goto(`${url}/connectors`);
  const running = async () => {
    const states = await texts(page.locator('.list .badge'));
    return states.length === 9 && states.every((state) => state === 'Running');
  };
  await until('nine connectors, all running', running);
  await button(page, 'Restart users').click();
  const dialog = page.getByRole('dialog', { name: 'Restart users?' });
  await button(dialog, 'Cancel').click();
  await dialog.waitFor({ state: 'detached', timeout: SOON });
  await button(page, 'Restart users').click();
  const [answer] = await Promise.all([
    page.waitForResponse((response) => response.url().endsWith('/api/connectors/users/restart'), { timeout: SOON }),
    button(dialog, 'Restart').click(),
  ]);
  ensure(answer.ok(), `the restart answers ${answer.status()}`);
  await dialog.waitFor({ state: 'detached', timeout: SOON });
  await until('all running after the restart', running);
  await until('all tasks running after the restart', async () => {
    const tasks = await texts(page.locator('.list tbody tr > td:nth-child(3)'));
    return tasks.length === 9 && tasks.every((task) => task === '1 of 1 running');
  });
}

async function queries(page) {
  await page.goto(`${url}/queries`);
  await until('eleven queries, all running', async () => {
    const states = await texts(page.locator('.list .badge'));
    return states.length === 11 && states.every((state) => state === 'Running');
  });
  await until('rates', async () => {
    const rates = await texts(page.locator('.list tbody tr td:nth-child(3)'));
    return rates.some((rate) => /^[\d.,]*[1-9][\d.,]*\/s$/.test(rate));
  });
  await page.getByRole('button', { name: 'sessions', exact: true }).click();
  await page.waitForURL(/\?query=CSAS_SESSIONS/, { timeout: SOON });
  await page.reload();
  const sql = await page.locator('.sql').textContent({ timeout: SOON });
  ensure(sql.startsWith('CREATE STREAM sessions'), `its SQL after a reload: ${sql}`);
  await page.getByText('Plan', { exact: true }).click();
  await until('its plan', async () => (await page.locator('details pre').textContent()).includes('actions'));
}

async function narrow(page) {
  await page.setViewportSize({ width: 400, height: 800 });
  for (const path of [DASHBOARD, '/topics', '/topics/actions', '/connectors', '/queries']) {
    await page.goto(url + path);
    await until(`${path} shows something`, async () => (await page.locator('.value, .list tbody tr').count()) > 3);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    ensure(wide <= 0, `${path} is ${wide} px wider than the window`);
  }
}

async function death(page) {
  await page.goto(url + DASHBOARD);
  const before = await shown(page);
  process.kill(JSON.parse(readFileSync(bd, 'utf8')).pid, 'SIGKILL');
  const notice = page.getByRole('alert').filter({ hasText: 'Reconnecting' });
  await notice.waitFor({ timeout: SOON });
  const kept = await numbers(page);
  for (const name of STATS) ensure(/\d/.test(kept[name] ?? ''), `${name} is kept while bd is away: ${kept[name]}`);
  ensure(kept.Subscribers === before.Subscribers, `subscribers while bd is away: ${kept.Subscribers}, not ${before.Subscribers}`);
  const charts = await coloured(page);
  ensure(charts.every(([, pixels]) => pixels > 150), `charts are kept while bd is away: ${charts}`);
  await notice.waitFor({ state: 'detached', timeout: SOON });
  await moves(page, MOVING);
  await until('live again', async () => (await page.locator('.live').textContent()) === 'Live');
  const wrong = await texts(page.locator('.panel-empty, .failed'));
  ensure(wrong.length === 0, `nothing is missing after it: ${wrong}`);
}

/** What a page must not do. While bd is away, requests may fail. */
function watch(page, problems, away) {
  page.on('pageerror', (error) => problems.push(`uncaught: ${error.stack ?? error.message}`));
  if (away) return;
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') problems.push(`console: ${message.text()}`);
  });
  // A page that is left ends its requests.
  page.on('requestfailed', (request) => {
    const why = request.failure()?.errorText ?? '';
    if (why !== 'net::ERR_ABORTED') problems.push(`${request.method()} ${request.url()}: ${why}`);
  });
  page.on('response', (response) => {
    if (response.status() >= 400) problems.push(`${response.request().method()} ${response.url()}: ${response.status()}`);
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith('data:')) problems.push(`asks elsewhere: ${request.url()}`);
  });
}

const CHECKS = [
  ['keyboard', keyboard],
  ['state', state],
  ['topics', topics],
  ['avro', avro],
  ['connectors', connectors],
  ['queries', queries],
  ['narrow', narrow],
  // All panels have something to show only by now.
  ['dashboard-light', (page) => dashboard(page, 'light')],
  ['dashboard-dark', (page) => dashboard(page, 'dark'), { colorScheme: 'dark' }],
  ['death', death, {}, true],
];

mkdirSync(out, { recursive: true });
const only = (process.env.ONLY ?? '').split(',').filter(Boolean);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
let failed = 0;
for (const [name, check, options = {}, away = false] of CHECKS) {
  if (only.length > 0 && !only.includes(name)) continue;
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, colorScheme: 'light', ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(SOON);
  const problems = [];
  watch(page, problems, away);
  const begin = Date.now();
  await check(page).catch((error) => problems.unshift(error instanceof Failure ? error.message : error.stack));
  console.log(`${name}: ${((Date.now() - begin) / 1000).toFixed(1)} s`);
  if (problems.length > 0) {
    const picture = join(out, `${name}.png`);
    await page.screenshot({ path: picture, fullPage: true }).catch(() => {});
    for (const problem of new Set(problems)) console.error(`${name}: ${problem}`);
    console.error(`${name}: see ${picture}`);
    failed += 1;
  }
  await context.close();
}
await browser.close();
process.exitCode = failed > 0 ? 1 : 0;
