// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Uses the page as people do: `node test.js FOLDER BROWSER VIDEO`. FOLDER is what `cargo xtask package web` has made.
// AFMPEG_NODE_MODULES names the folder that has playwright-core.
import { createReadStream, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { extname, join, normalize } from 'node:path';

const [, , root, browserPath, video] = process.argv;
const { chromium } = createRequire(join(process.env.AFMPEG_NODE_MODULES, 'here'))('playwright-core');

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.gz': 'application/gzip' };

/** Copies of the page: what is changed of the text of their files. */
const copies = { one: {}, two: {}, small: {} };
/** Files that the server fails to give, and how many times it did. */
const failing = new Map();

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://localhost');
  const [, copy, name] = /^\/(\w+)\/(.*)$/.exec(pathname.replace(/\/$/, '/index.html')) ?? [];
  const path = join(root, normalize(name ?? ''));
  if (!copies[copy] || !statSync(path, { throwIfNoEntry: false })?.isFile()) return response.writeHead(404).end();
  if (failing.has(name)) {
    failing.set(name, failing.get(name) + 1);
    return response.writeHead(503).end();
  }
  // Many servers let browsers keep files for long.
  const headers = { 'Content-Type': TYPES[extname(path)] ?? 'text/plain', 'Cache-Control': 'max-age=31536000' };
  response.writeHead(200, headers);
  const change = copies[copy][name];
  if (change) return response.end(change(readFileSync(path, 'utf8')));
  return createReadStream(path).pipe(response);
}).listen(0, '127.0.0.1');
await new Promise((resolve) => server.once('listening', resolve));
const address = (copy) => `http://localhost:${server.address().port}/${copy}/`;

/** In a page: what it has shown, and what it holds. */
function watch() {
  globalThis.seen = { status: [], left: [] };
  globalThis.addresses = new Set();
  const { createObjectURL, revokeObjectURL } = URL;
  URL.createObjectURL = (blob) => {
    const address = createObjectURL(blob);
    addresses.add(address);
    return address;
  };
  URL.revokeObjectURL = (address) => {
    addresses.delete(address);
    revokeObjectURL(address);
  };
  globalThis.drop = (file) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(file);
    document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
  };
  addEventListener('DOMContentLoaded', () => {
    for (const [id, texts] of Object.entries(seen)) {
      const element = document.getElementById(id);
      new MutationObserver(() => texts.push(element.textContent)).observe(element, { childList: true });
    }
  });
}

const browser = await chromium.launch({ executablePath: browserPath, args: ['--no-sandbox'] });
const context = await browser.newContext();
const faults = [];
let page;

async function open(copy, context, isFaultless = true) {
  page = await context.newPage();
  page.setDefaultTimeout(60_000);
  await page.addInitScript(watch);
  if (isFaultless) {
    page.on('pageerror', (error) => faults.push(String(error.stack)));
    page.on('console', (message) => {
      if (message.type() === 'error' && !message.text().includes('favicon')) faults.push(message.text());
    });
  }
  await page.goto(address(copy));
}

function check(holds, text) {
  if (!holds) throw new Error(text);
}

const status = (text) =>
  page.waitForFunction((text) => document.getElementById('status').textContent.includes(text), text);

/** Chooses a file as people do: browsers tell a page nothing when a file that is chosen is chosen again. */
async function pick(file) {
  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.click('#file')]);
  await chooser.setFiles(file);
}

const focused = () => page.evaluate(() => document.activeElement.id);

/** Drops a file that the page's own module has made, of the file that was chosen before if the arguments name it. */
function dropMade(name, args) {
  return page.evaluate(
    async ([name, args]) => {
      const { Runtime } = await import(new URL('afmpeg/index.js', document.baseURI));
      const runtime = await Runtime.load(new URL('module.wasm.gz', document.baseURI));
      const [video] = document.getElementById('file').files;
      const output = await runtime.run([...args.split(' '), 'made.mp4'], { files: video ? { 'in.mp4': video } : {} });
      runtime.close();
      drop(new File([output.expectSuccess().files['made.mp4']], name, { type: 'video/mp4' }));
    },
    [name, args],
  );
}

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
  check((await focused()) === 'result', 'the result is not what is read next');
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

const STEM = video.replace(/^.*\/|\.\w+$/g, '');
/** `$&` is what replacing takes for what it replaces. */
const AWKWARD = 'a $& b';

async function convertEverything() {
  await pick(video);
  await status('Choose what to make');
  check(
    (await page.textContent('#description')).includes('1280 × 720, 25.00 frames a second'),
    await page.textContent('#description'),
  );
  for (const [action, wanted] of Object.entries({
    mp4: '.mp4 video',
    trim: '.mp4 video',
    gif: '.gif img',
    mp3: '.mp3 audio',
    sheet: '.jpg img',
  })) {
    await page.evaluate(() => (seen.left.length = 0));
    const made = await make(action);
    check(made === STEM + wanted, `${action} made ${made}`);
    check((await page.evaluate(() => addresses.size)) === 1, `${action}: what was made before is kept`);
    const parts = await page.evaluate(() => seen.left.map((text) => Number.parseInt(text)).filter((part) => part >= 0));
    check(action === 'sheet' || parts.at(-1) === 100, `${action}: the progress is ${parts}`);
    check(String(parts) === String(parts.toSorted((one, other) => one - other)), `${action} goes back: ${parts}`);
    console.log(`ok ${action}`);
  }
}

async function fillFields() {
  await page.check('input[value=gif]');
  await page.fill('#seconds', '');
  await page.press('#start', 'Enter');
  check((await focused()) === 'seconds', 'an empty field is taken for a number');
  await page.fill('#seconds', '5');
  await page.fill('#from', '6');
  await page.press('#start', 'Enter');
  check((await focused()) === 'from', 'what comes after the end is asked for');
  check((await make('mp3')) === `${STEM}.mp3 audio`, 'a field that is not shown counts');
  await page.check('input[value=gif]');
  await page.fill('#from', '0');
  console.log('ok fields');
}

async function chooseWhileItWorks() {
  await page.evaluate(() => (globalThis.kept = document.getElementById('shown').firstElementChild));
  await page.fill('#width', '1280');
  await page.evaluate(() => (seen.left.length = 0));
  await page.press('#start', 'Enter');
  check((await focused()) === 'cancel', 'the focus is lost at the start');
  check(
    await page.evaluate(() => !kept.isConnected && kept.networkState === kept.NETWORK_EMPTY && addresses.size === 0),
    'what was made before plays on',
  );
  check(await page.isDisabled('#file'), 'a file can be chosen, in vain');
  await page.evaluate(() => drop(new File(['no video'], 'text.mp4')));
  await status('Still working');
  await page.waitForFunction(() => seen.left.some((text) => text.endsWith('left')));
  const left = await page.evaluate(() => seen.left.filter((text) => text !== ''));
  check(!left[0].includes('left'), `the time left is guessed at once: ${left[0]}`);
  await page.keyboard.press('Enter');
  await status('Cancelled');
  check((await focused()) === 'start', 'the focus is lost at the end');
  await pick(video);
  await status('Choose what to make');
  console.log('ok cancel');
}

async function chooseAnotherFile() {
  check((await make('mp3')) === `${STEM}.mp3 audio`, 'no sound to play on');
  await page.evaluate(() => {
    kept = document.getElementById('shown').firstElementChild;
    seen.status.length = 0;
    drop(new File(['no video'], 'text.mp4'));
    drop(document.getElementById('file').files[0]);
  });
  check(await page.evaluate(() => !kept.isConnected && addresses.size === 0), 'what was made before plays on');
  await status('Choose what to make');
  await dropMade(`${AWKWARD}.mp4`, 'ffmpeg -i in.mp4 -c copy -timecode 01:00:00:00');
  await page.waitForFunction((name) => document.getElementById('description').textContent.includes(name), AWKWARD);
  check((await make('trim')) === `${AWKWARD}.mp4 video`, 'a file with a timecode is not cut');
  const said = await page.evaluate(() => seen.status.filter((text) => text.includes('cannot be used')));
  check(said.length === 0, `what was chosen before is told of: ${said}`);
  console.log('ok one file after the other');

  await pick({ name: 'text.mp4', mimeType: 'video/mp4', buffer: Buffer.from('no video') });
  await status('cannot be used');
  console.log('ok a file that is none');
}

async function keepVersionsApart() {
  const readWorker = () => page.evaluate(async () => (await fetch('afmpeg/worker.js')).text());
  const registrations = () =>
    page.evaluate(async () => {
      const { waiting, active } = (await navigator.serviceWorker.getRegistration()) ?? {};
      return { isWaiting: Boolean(waiting), isActive: Boolean(active) };
    });
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.reload();
  check(await page.evaluate(() => Boolean(navigator.serviceWorker.controller)), 'the second load is from the network');
  copies.one = {
    'files.js': (text) => text.replace('version = "', 'version = "2'),
    'afmpeg/worker.js': (text) => `${text}// 2`,
  };
  await page.evaluate(async () => {
    const registration = await navigator.serviceWorker.getRegistration();
    await registration.update();
    const worker = registration.installing ?? registration.waiting;
    if (worker?.state === 'installing') {
      await new Promise((resolve) => worker.addEventListener('statechange', resolve, { once: true }));
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  });
  check((await registrations()).isWaiting, 'a new version does not wait for the old one');
  check(!(await readWorker()).endsWith('// 2'), 'an open page gets files of another version');

  // Of another version too.
  copies.two = { 'files.js': (text) => text.replace('version = "', 'version = "3') };
  await page.close();
  await open('two', context);
  await page.evaluate(() => navigator.serviceWorker.ready);
  const one = address('one');
  await page.waitForFunction(async (one) => {
    const { waiting, active } = await navigator.serviceWorker.getRegistration(one);
    return !waiting && active?.state === 'activated';
  }, one);
  const kept = await page.evaluate(async () => {
    const names = await caches.keys();
    return Promise.all(names.map(async (name) => (await (await caches.open(name)).keys()).map(({ url }) => url)));
  });
  check(kept.length === 2 && kept.flat().filter((url) => url.startsWith(one)).length > 5, `kept: ${kept.flat()}`);
  await page.close();
  await open('one', context);
  check((await readWorker()).endsWith('// 2'), 'a new version is not taken once the old one is closed');
  console.log('ok versions');
}

async function workWithoutNetwork() {
  server.close();
  server.closeAllConnections();
  await page.reload();
  await pick(video);
  await status('Choose what to make');
  check((await make('mp4')) === `${STEM}.mp4 video`, 'nothing is made without a network');
  console.log('ok without a network');
}

/** A page in which jobs have little memory, on a network that fails for a while. */
async function makeDo() {
  const context = await browser.newContext({ serviceWorkers: 'block' });
  const LITTLE = 'Runtime.load(MODULE, { memoryMaxBytes: 2 ** 27 })';
  copies.small['page.js'] = (text) => text.replace('Runtime.load(MODULE)', LITTLE);
  failing.set('afmpeg/worker.js', 0);
  await open('small', context, false);
  check((await page.evaluate(async () => (await fetch('page.js')).text())).includes(LITTLE), 'there is no limit');
  await pick(video);
  await status('cannot be used. no worker can be started');
  check(failing.get('afmpeg/worker.js') > 1, 'workers were not asked for');
  failing.clear();
  await pick(video);
  await status('Choose what to make');
  console.log('ok a network that fails for a while');

  // All its pictures at once take more than twice the memory.
  await dropMade('long.mp4', 'ffmpeg -f lavfi -i color=s=640x360:r=12:d=30 -c:v mpeg4');
  await page.waitForFunction(() => document.getElementById('description').textContent.includes('long.mp4'));
  await page.check('input[value=gif]');
  await page.fill('#seconds', '30');
  await page.press('#start', 'Enter');
  await page.waitForFunction(() => /Done|did not work/.test(document.getElementById('status').textContent));
  check((await page.textContent('#status')) === 'Done.', `a long GIF: ${await page.textContent('#status')}`);
  console.log('ok a long GIF in little memory');
  await context.close();
}

try {
  await makeDo();
  await open('one', context);
  await convertEverything();
  await fillFields();
  await chooseWhileItWorks();
  await chooseAnotherFile();
  await keepVersionsApart();
  await workWithoutNetwork();
  check(faults.length === 0, faults.join('\n'));
} finally {
  await browser.close();
  server.close();
}
