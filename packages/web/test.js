// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Uses the page as people do: `node test.js FOLDER BROWSER VIDEO`. FOLDER is what `cargo xtask package web` has made.
// AFMPEG_NODE_MODULES names the folder that has playwright-core.
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { extname, join, normalize } from 'node:path';

const [, , root, browserPath, video] = process.argv;
const { chromium } = createRequire(join(process.env.AFMPEG_NODE_MODULES, 'here'))('playwright-core');

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.gz': 'application/gzip' };

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://localhost');
  const path = join(root, normalize(pathname === '/' ? 'index.html' : pathname));
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return response.writeHead(404).end();
  response.writeHead(200, { 'Content-Type': TYPES[extname(path)] ?? 'text/plain' });
  return createReadStream(path).pipe(response);
}).listen(0, '127.0.0.1');
await new Promise((resolve) => server.once('listening', resolve));

const browser = await chromium.launch({ executablePath: browserPath, args: ['--no-sandbox'] });
const page = await browser.newPage();
page.setDefaultTimeout(60_000);
const faults = [];
page.on('pageerror', (error) => faults.push(String(error.stack)));
page.on('console', (message) => {
  if (message.type() === 'error' && !message.text().includes('favicon')) faults.push(message.text());
});

function check(holds, text) {
  if (!holds) throw new Error(text);
}

const status = (text) =>
  page.waitForFunction((text) => document.getElementById('status').textContent.includes(text), text);

/** Makes something by keyboard alone, and gives the name that it is saved under and the kind that it is shown as. */
async function make(action) {
  await page.focus(`input[value=${action}]`);
  await page.keyboard.press('Space');
  for (const [field, value] of [
    ['#seconds', '1'],
    ['#width', '160'],
  ]) {
    if (await page.isVisible(field)) await page.fill(field, value);
  }
  await page.focus('#start');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => /Done|did not work/.test(document.getElementById('status').textContent));
  const said = await page.textContent('#status');
  check(said === 'Done.', `${action}: ${said}`);
  await status('Done.');
  check(await page.evaluate(() => document.activeElement.id === 'result'), 'the result is not what is read next');
  const shown = await page.evaluate(async () => {
    const [element] = document.getElementById('shown').children;
    if (element.localName === 'img') await element.decode();
    else if (element.readyState < HTMLMediaElement.HAVE_ENOUGH_DATA) {
      await new Promise((resolve) => element.addEventListener('canplaythrough', resolve, { once: true }));
    }
    return element.localName;
  });
  const [duration, width, height] = await page.evaluate(() => {
    const [{ duration, videoWidth, videoHeight, naturalWidth, naturalHeight }] = document.getElementById('shown').children;
    return [duration, videoWidth ?? naturalWidth, videoHeight ?? naturalHeight];
  });
  // What was asked for, and otherwise what the file has. A picture has no duration, sound no width.
  const wanted = { mp4: [5.28, 160, 90], trim: [1, 1280, 720], gif: [, 160, 90], mp3: [5.28], sheet: [, 1280, 720] };
  const [seconds, ...sides] = wanted[action];
  check(seconds === undefined || Math.abs(duration - seconds) < 0.15, `${action} has ${duration} s`);
  check(`${[width, height]}` === `${[sides[0], sides[1]]}`, `${action} has ${width} × ${height}`);
  await page.evaluate(() => (document.getElementById('status').textContent = ''));
  return `${await page.getAttribute('#save', 'download')} ${shown}`;
}

try {
  await page.goto(`http://localhost:${server.address().port}/`);
  await page.setInputFiles('#file', video);
  await status('Choose what to make');
  check(
    (await page.textContent('#description')).includes('1280 × 720, 25.00 frames a second'),
    await page.textContent('#description'),
  );
  const stem = video.replace(/^.*\/|\.\w+$/g, '');
  for (const [action, wanted] of Object.entries({
    mp4: '.mp4 video',
    trim: '.mp4 video',
    gif: '.gif img',
    mp3: '.mp3 audio',
    sheet: '.jpg img',
  })) {
    const made = await make(action);
    check(made === stem + wanted, `${action} made ${made}`);
    console.log(`ok ${action}`);
  }

  await page.check('input[value=mp4]');
  await page.fill('#width', '1280');
  await page.click('#start');
  await page.click('#cancel');
  await status('Cancelled');
  console.log('ok cancel');

  await page.setInputFiles('#file', { name: 'text.mp4', mimeType: 'video/mp4', buffer: Buffer.from('no video') });
  await status('cannot be used');
  console.log('ok a file that is none');

  await page.evaluate(() => navigator.serviceWorker.ready);
  server.close();
  server.closeAllConnections();
  await page.reload();
  await page.setInputFiles('#file', video);
  await status('Choose what to make');
  check((await make('mp4')) === `${stem}.mp4 video`, 'nothing is made without a network');
  console.log('ok without a network');
  check(faults.length === 0, faults.join('\n'));
} finally {
  await browser.close();
  server.close();
}
