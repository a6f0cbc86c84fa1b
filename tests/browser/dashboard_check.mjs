// Opens a dashboard in a real browser and checks what a reader needs of it; ends at the first thing that is wrong.
//
//   node dashboard_check.mjs URL FOLDER [--expect-lost NAME] [--patience SECONDS]
//
// URL is that of the page, with its ?token= when it wants one; screenshots go to FOLDER. --expect-lost NAME waits
// until the client of that name is shown as lost. It needs Debian's chromium and the npm package playwright-core,
// found from the working folder or NODE_PATH.

import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import path from 'node:path';
import { parseArgs } from 'node:util';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { 'expect-lost': { type: 'string' }, patience: { type: 'string', default: '60' } },
});
if (positionals.length !== 2) {
  console.error('usage: node dashboard_check.mjs URL FOLDER [--expect-lost NAME] [--patience SECONDS]');
  process.exit(2);
}
const [url, folder] = positionals;
const { origin, searchParams } = new URL(url);
const origins = [origin];  // of the server, as the browser may see it
const patience_ms = 1000 * Number(options.patience);
const { chromium } = createRequire(path.join(process.cwd(), 'x.js'))('playwright-core');

const kLongestTask_ms = 1000;  // the page must not freeze; machines of tests are slow
const kVersionsAtOnce = 5000;  // that /api/versions answers
const kWidths = { wide: { width: 1280, height: 900 }, narrow: { width: 360, height: 740 } };

const complaints = [];  // of the browser
let mayFail = false;    // while the network is cut on purpose

function check(holds, what) {
  if (!holds) throw new Error(what);
}

const say = (text) => console.log(`dashboard_check: ${text}`);

async function ask(what) {
  const address = new URL(`/api/${what}`, origin);
  if (searchParams.has('token')) address.searchParams.set('token', searchParams.get('token'));
  const answer = await fetch(address);
  check(answer.ok, `/api/${what} answers ${answer.status}`);
  return answer.json();
}

/// Waits until `seen`, a function in the page, is true.
async function until(page, what, seen, argument) {
  try {
    await page.waitForFunction(seen, argument, { timeout: patience_ms, polling: 200 });
  } catch {
    throw new Error(`${what}: not seen in ${patience_ms / 1000} s`);
  }
}

/// In the page.
const isConnected = () => ['live', 'stored'].includes(document.querySelector('#link').dataset.link);

const textOf = (page, selector) => page.locator(selector).innerText();

function watch(page) {
  const complain = (text) => { if (!mayFail) complaints.push(text); };
  page.on('console', (message) => {
    if (!['error', 'warning'].includes(message.type())) return;
    complain(`console: ${message.text()} (${message.location().url})`);
  });
  page.on('pageerror', (error) => complain(`the page threw ${error}`));
  page.on('dialog', (dialog) => { complain(`a dialog opened: ${dialog.message()}`); dialog.dismiss(); });
  page.on('request', (request) => {
    if (!origins.includes(new URL(request.url()).origin)) complain(`a request left for ${request.url()}`);
  });
  page.on('response', (response) => {
    if (response.status() >= 400) complain(`${response.url()} answered ${response.status()}`);
  });
}

function checkNoComplaints(when) {
  check(complaints.length === 0, `the browser complained ${when}`);
}

async function checkOpens(page) {
  const answer = await page.goto(url, { waitUntil: 'load' });
  check(answer.ok(), `the page answers ${answer.status()}`);
  check(/default-src 'self'/.test(answer.headers()['content-security-policy'] ?? ''),
    "the page is served without Content-Security-Policy: default-src 'self'");
  await until(page, 'the page is connected', isConnected);
  await until(page, 'a value', () => /\d/.test(document.querySelector('#version').textContent));
  check(await page.evaluate(() => typeof window.Chart === 'function'), '/chart.js does not define Chart');
  check(await page.locator('#no-charts').isHidden(), 'the charts are said not to be drawn');
}

/// The page shows what the API says.
async function checkValues(page, run) {
  check((await textOf(page, '#strategy')) === run.strategy, 'the strategy is not the run\'s');
  check((await textOf(page, '#folder')) === run.folder, 'the folder is not the run\'s');
  const clients = await ask('clients');
  const names = await page.locator('#client-rows th > span').allTextContents();
  check(names.length === Math.min(50, clients.length), `${names.length} clients are listed of ${clients.length}`);
  check(names.every((name, i) => name === clients[i].name), 'the names of the clients are not those of /api/clients');
  const settings = await ask('config');
  check(await page.locator('#setting-rows tr').count() === settings.length, 'not every setting is listed');
  const changed = settings.filter((one) => !one.default).length;
  check(await page.locator('#setting-rows tr[data-changed]').count() === changed,
    'not just the settings that differ from their default are marked');
  // Whatever a client calls itself stays text.
  check(await page.locator('main img, main script, main iframe').count() === 0, 'data became markup');
  const drawn = await page.evaluate(() => [...document.querySelectorAll('canvas')].map((canvas) => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return data.some((byte) => byte > 0);
  }));
  check(drawn.length === 5 && drawn.every(Boolean), `a chart is empty: ${drawn}`);
  for (const text of await page.locator('figcaption p').allTextContents()) check(text !== '', 'a chart has no text');
}

async function checkMoves(page) {
  const read = () => ['time', 'version', 'updates'].map((id) => document.getElementById(id).textContent);
  const before = await page.evaluate(read);
  await until(page, 'the time, and the version or the updates, move', (old) => {
    const [time, ...counts] = ['time', 'version', 'updates'].map((id) => document.getElementById(id).textContent);
    return time !== old[0] && counts.some((count, i) => count !== old[i + 1]);
  }, before);
}

async function checkTable(page) {
  const column = page.locator('#client-columns th', { hasText: 'Updates' });
  await column.getByRole('button').click();
  check(await column.getAttribute('aria-sort') === 'descending', 'a click on Updates does not sort by it');
  const numbers = (await page.locator('#client-rows tr > :nth-child(6)').allTextContents())
    .map((text) => Number(text.replaceAll(',', '')));
  check(numbers.every((number, i) => i === 0 || numbers[i - 1] >= number), `the rows are not sorted: ${numbers}`);
  await column.getByRole('button').click();
  check(await column.getAttribute('aria-sort') === 'ascending', 'a second click does not turn the order');
  await page.locator('#client-columns th', { hasText: 'Client' }).getByRole('button').click();
}

async function checkControls(page) {
  await page.getByRole('button', { name: 'By time' }).click();
  check(await page.locator('[data-axis="time"]').getAttribute('aria-pressed') === 'true', '"By time" is not pressed');
  await page.getByRole('button', { name: 'By version' }).click();
  const all = await page.locator('#setting-rows tr:visible').count();
  await page.locator('#setting-search').fill('strategy.name');
  const some = await page.locator('#setting-rows tr:visible').count();
  check(some > 0 && some < all, `the filter shows ${some} of ${all} settings`);
  await page.locator('#setting-search').fill('');
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const before = await ground();
  await page.locator('#theme').click();
  check(await ground() !== before, 'the button of the theme changes nothing');
  await page.locator('#theme').click();
  check(await ground() === before, 'the second click on the theme does not bring it back');
}

/// Tab comes to everything that can be operated, and what has the focus shows it.
async function checkTab(page) {
  const total = await page.evaluate(() => {
    const all = document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]');
    const wanted = [...all].filter((one) => !one.disabled && one.checkVisibility());
    wanted.forEach((one, i) => { one.dataset.tab = i; });
    document.activeElement?.blur();
    return wanted.length;
  });
  const reached = new Set();
  for (let i = 0; i < total + 5 && reached.size < total; ++i) {
    await page.keyboard.press('Tab');
    const { tab, shows } = await page.evaluate(() => {
      const one = document.activeElement;
      return { tab: one.dataset.tab, shows: one === document.body || getComputedStyle(one).outlineStyle !== 'none' };
    });
    check(shows, `element ${tab} does not show that it has the focus`);
    if (tab !== undefined) reached.add(Number(tab));
  }
  const missed = await page.evaluate((seen) => [...document.querySelectorAll('[data-tab]')]
    .filter((one) => !seen.includes(Number(one.dataset.tab))).map((one) => one.id || one.textContent), [...reached]);
  check(missed.length === 0, `Tab does not come to: ${missed.join(', ')}`);
  say(`Tab comes to all ${total} that can be operated`);
}

/// Text that a reader needs, for those who do not see the page.
async function checkNames(page) {
  const nameless = await page.evaluate(() => [...document.querySelectorAll('button, input, a[href], canvas')]
    .filter((one) => one.checkVisibility() && !one.textContent.trim() && !one.getAttribute('aria-label')
      && !one.getAttribute('aria-labelledby') && !one.labels?.length).map((one) => one.outerHTML));
  check(nameless.length === 0, `these have no name: ${nameless.join(', ')}`);
}

async function checkNoSideways(page, width) {
  const { scroll, client } = await page.evaluate(() => ({
    scroll: document.documentElement.scrollWidth, client: document.documentElement.clientWidth,
  }));
  check(scroll <= client, `the page scrolls sideways at ${width} px: it is ${scroll} px wide`);
}

async function takeScreenshots(page) {
  for (const [name, size] of Object.entries(kWidths)) {
    await page.setViewportSize(size);
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      await page.evaluate(() => scrollTo(0, 0));
      await page.waitForTimeout(1200);  // until the charts have been drawn anew
      await checkNoSideways(page, size.width);
      await page.screenshot({ path: path.join(folder, `${name}_${colorScheme}.png`), fullPage: true });
    }
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize(kWidths.wide);
}

/// A way to the server that can be cut: what a browser calls "offline" leaves open connections alone.
async function openPassage() {
  const sockets = new Set();
  let cut = false;
  const server = net.createServer((near) => {
    if (cut) return near.destroy();
    const far = net.connect(Number(new URL(origin).port || 80), new URL(origin).hostname);
    for (const [socket, other] of [[near, far], [far, near]]) {
      sockets.add(socket);
      socket.pipe(other);
      socket.on('error', () => other.destroy());
      socket.on('close', () => { sockets.delete(socket); other.destroy(); });
    }
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    cut() { cut = true; for (const socket of sockets) socket.destroy(); },
    open() { cut = false; },
    close() { server.close(); this.cut(); },
  };
}

/// The connection goes away: the page says so, comes back by itself, and misses nothing.
async function checkReconnects(page, live) {
  const passage = await openPassage();
  try {
    origins.push(passage.origin);
    await page.goto(url.replace(origin, passage.origin));
    await until(page, 'the page is connected', isConnected);
    mayFail = true;
    passage.cut();
    await until(page, 'the lost connection', () => document.querySelector('#link').dataset.link === 'lost');
    check(await page.locator('#banner').isVisible(), 'no banner tells of the lost connection');
    await page.waitForTimeout(2500);
    await page.screenshot({ path: path.join(folder, 'disconnected.png') });
    passage.open();
    await until(page, 'the connection that is back', isConnected);
    check(await page.locator('#banner').isHidden(), 'the banner stays though the connection is back');
    mayFail = false;
    if (live) await checkMoves(page);
    await checkEachOnce(page);
  } finally {
    passage.close();
  }
}

/// Each evaluated version is there once, those of the time without a connection too.
async function checkEachOnce(page) {
  const evaluated = async () => {
    const versions = await ask('versions');
    return versions.length < kVersionsAtOnce && versions.filter((version) => version.eval_accuracy !== null).length;
  };
  const least = await evaluated();
  if (!least) return;
  const read = () => Number(/([\d,]+) versions? evaluated/.exec(
    document.querySelector('#accuracy-text').textContent)?.[1].replaceAll(',', ''));
  await page.waitForTimeout(2000);  // until it is drawn
  const shown = await page.evaluate(read);
  const most = await evaluated();
  check(least <= shown && shown <= most, `${shown} evaluated versions are shown, not ${least} to ${most}`);
}

async function checkLost(page, name) {
  await page.locator('#client-search').fill(name);
  await until(page, `client ${name} is shown as lost`, (wanted) => [...document.querySelectorAll('#client-rows tr')]
    .some((row) => row.querySelector('th > span').textContent === wanted && row.dataset.state === 'lost'), name);
  const row = page.locator('#client-rows tr[data-state="lost"]', { has: page.getByText(name, { exact: true }) });
  check((await row.locator('.state').innerText()).includes('lost'), 'the state is not told in words');
  check(await row.locator('.state use').getAttribute('href') === '#icon-lost', 'the state has no icon of its own');
  await page.locator('#clients').scrollIntoViewIfNeeded();
  await page.screenshot({ path: path.join(folder, 'lost.png') });
  await page.locator('#client-search').fill('');
  say(`client ${name} is shown as lost`);
}

async function checkAll() {
  mkdirSync(folder, { recursive: true });
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
  try {
    const context = await browser.newContext({ viewport: kWidths.wide, colorScheme: 'light', reducedMotion: 'reduce' });
    const page = await context.newPage();
    watch(page);
    await page.addInitScript(() => {
      window.longestTask = 0;
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) window.longestTask = Math.max(window.longestTask, entry.duration);
      }).observe({ type: 'longtask', buffered: true });
    });

    const run = await ask('run');
    await checkOpens(page);
    await page.waitForTimeout(1500);
    checkNoComplaints('as the page opened');
    await checkValues(page, run);
    say('the page shows what the API says');
    const opening_ms = await page.evaluate(() => window.longestTask);
    await page.evaluate(() => { window.longestTask = 0; });
    if (run.live && run.state === 'training') {
      await checkMoves(page);
      await page.waitForTimeout(4000);
      say('values move');
    }
    const longest_ms = await page.evaluate(() => window.longestTask);
    say(`longest task: ${opening_ms.toFixed(0)} ms as it opened, ${longest_ms.toFixed(0)} ms since`);
    check(longest_ms < kLongestTask_ms, `the page froze for ${longest_ms} ms`);

    await checkTable(page);
    await checkControls(page);
    await checkNames(page);
    await checkTab(page);
    await takeScreenshots(page);
    say(`no sideways scrolling; screenshots are in ${folder}`);
    if (options['expect-lost'] !== undefined) await checkLost(page, options['expect-lost']);
    await checkReconnects(page, run.live && run.state === 'training');
    say('a lost connection is shown, and comes back');
    checkNoComplaints('in the end');
  } finally {
    await browser.close();
  }
}

try {
  await checkAll();
  say('passed');
} catch (error) {
  console.error(`dashboard_check: FAILED: ${[error.message, ...complaints].join('\n  ')}`);
  process.exit(1);
}
