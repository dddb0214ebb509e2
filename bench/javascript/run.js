// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Measures the package for npm beside @ffmpeg/core, in a browser and in node; `cargo xtask bench-js` starts it:
// `node run.js FOLDER CORE VARIANT VIDEO BROWSER ROUNDS [CASE,…]`. In FOLDER the packages are installed, and CORE has the
// files of @ffmpeg/core. AFMPEG_NODE_MODULES names the folder that has playwright-core. Prints one line of JSON a sample.
import { execFile } from 'node:child_process';
import { createReadStream, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const [, , folder, coreFolder, variant, video, browserPath, rounds, cases = ''] = process.argv;
const here = fileURLToPath(new URL('.', import.meta.url));
const { chromium } = createRequire(join(process.env.AFMPEG_NODE_MODULES, 'here'))('playwright-core');

const RUNNERS = ['ours', 'core'];
const SAMPLE_EVERY_MS = 50;
/** A case that takes longer hangs. */
const LIMIT_MS = 300_000;

const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mp4': 'video/mp4',
  '.wasm': 'application/wasm',
  '.gz': 'application/gzip',
};

const inputs = join(folder, 'inputs');

/** The video many times over, without encoding anew. */
async function makeInputs() {
  const found = createRequire(join(folder, 'package.json')).resolve('afmpeg');
  const { folder: folderOf, path, Runtime } = await import(pathToFileURL(found).href);
  mkdirSync(inputs, { recursive: true });
  process.chdir(folder);
  const runtime = await Runtime.load();
  const sizeBytes = statSync(video).size;
  const times = (bytes) => String(Math.ceil(bytes / sizeBytes));
  const make = async (name, ...args) => {
    const line = ['ffmpeg', '-v', 'error', '-y', ...args, '-c', 'copy', `inputs/${name}`];
    const files = { 'in.mp4': path(video), inputs: folderOf(inputs, { write: true }) };
    (await runtime.run(line, { files })).expectSuccess();
  };
  await make('transcode.mp4', '-i', 'in.mp4', '-t', '4');
  await make('remux.mp4', '-stream_loop', times(250e6), '-i', 'in.mp4');
  await make('probe.mp4', '-stream_loop', times(1e9), '-i', 'in.mp4');
  runtime.close();
}

/** Where a path of an address lies. */
function placeOf(pathname) {
  const [, first, ...rest] = normalize(pathname).split('/');
  if (first === 'core') return join(coreFolder, ...rest);
  if (first === 'bench') return join(here, ...rest);
  return join(folder, first, ...rest);
}

/** Counts what the workers of a page read of Files, as nothing else tells it. */
const COUNTING = `{
  const read = FileReaderSync.prototype.readAsArrayBuffer;
  const counted = new BroadcastChannel('bytes read');
  FileReaderSync.prototype.readAsArrayBuffer = function (blob) {
    counted.postMessage(blob.size);
    return read.call(this, blob);
  };
}
`;

let isCounting = false;

const server = createServer((request, response) => {
  const path = placeOf(decodeURIComponent(new URL(request.url, 'http://localhost').pathname));
  const stats = statSync(path, { throwIfNoEntry: false });
  if (!stats?.isFile()) return response.writeHead(404).end();
  const headers = { 'Content-Type': TYPES[extname(path)] ?? 'application/octet-stream', 'Cache-Control': 'no-cache' };
  if (isCounting && /worker\.js$/.test(path)) {
    response.writeHead(200, headers);
    return response.end(COUNTING + readFileSync(path, 'utf8'));
  }
  response.writeHead(200, { ...headers, 'Content-Length': stats.size });
  return createReadStream(path).pipe(response);
}).listen(0, '127.0.0.1');

/** The processes below one, by what the system lists. */
function below(ancestor) {
  const parents = new Map();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const parent = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${name}/status`, 'utf8'))?.[1];
      parents.set(Number(name), Number(parent));
    } catch {
      // It has ended.
    }
  }
  const isBelow = (process) => process === ancestor || (parents.has(process) && isBelow(parents.get(process)));
  return [...parents.keys()].filter(isBelow);
}

/** The memory of a browser's processes, and of those of its pages: shared pages of memory count in parts. */
function memoryNow() {
  const bytes = { all: 0, pages: 0 };
  // Playwright does not tell the browser's process, which is below this one.
  for (const id of below(process.pid).filter((id) => id !== process.pid)) {
    try {
      const kilobytes = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${id}/smaps_rollup`, 'utf8'))?.[1];
      bytes.all += 1024 * Number(kilobytes ?? 0);
      if (readFileSync(`/proc/${id}/cmdline`, 'utf8').includes('--type=renderer'))
        bytes.pages += 1024 * Number(kilobytes ?? 0);
    } catch {
      // It has ended.
    }
  }
  return bytes;
}

function watchMemory() {
  const before = memoryNow();
  const peak = { ...before };
  const sample = () => {
    const now = memoryNow();
    for (const name of Object.keys(peak)) peak[name] = Math.max(peak[name], now[name]);
  };
  const timer = setInterval(sample, SAMPLE_EVERY_MS);
  return () => {
    clearInterval(timer);
    sample();
    return {
      memory_before_bytes: before.all,
      memory_peak_bytes: peak.all,
      page_memory_before_bytes: before.pages,
      page_memory_peak_bytes: peak.pages,
    };
  };
}

/** Runs a case in a page of a browser that was just started, so that it has nothing of another. */
async function inBrowser(runner, name, { file, counts = false, watches = false } = {}) {
  const browser = await chromium.launch({ executablePath: browserPath, args: ['--no-sandbox'], timeout: LIMIT_MS });
  isCounting = counts;
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(LIMIT_MS);
    const address = `http://localhost:${server.address().port}/bench/page.html?runner=${runner}&variant=${variant}`;
    await page.goto(address);
    await page.waitForFunction(() => globalThis.measure !== undefined);
    if (file) await page.setInputFiles('#file', join(inputs, file));
    if (counts) {
      await page.evaluate(() => {
        globalThis.readBytes = 0;
        globalThis.channel = new BroadcastChannel('bytes read');
        globalThis.channel.onmessage = ({ data }) => (globalThis.readBytes += data);
      });
    }
    const stop = watches ? watchMemory() : () => ({});
    const measured = await page.evaluate((name) => globalThis.measure(name), name);
    const memory = stop();
    if (!counts) return { ...measured, ...memory };
    return { read_bytes: await page.evaluate(() => globalThis.readBytes) };
  } finally {
    await browser.close();
  }
}

async function inNode(runner) {
  const script = join(here, 'in-node.js');
  const args = [script, runner, join(inputs, 'transcode.mp4'), coreFolder];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: folder, timeout: LIMIT_MS });
  return JSON.parse(stdout);
}

const CASES = {
  transcode: (runner) => inBrowser(runner, 'transcode'),
  cold: (runner) => inBrowser(runner, 'cold'),
  probe: (runner) => inBrowser(runner, 'probe', { file: 'probe.mp4' }),
  'probe-reads': (runner) => inBrowser(runner, 'probe', { file: 'probe.mp4', counts: true }),
  remux: (runner) => inBrowser(runner, 'remux', { file: 'remux.mp4', watches: true }),
  node: inNode,
};

const named = cases === '' ? Object.keys(CASES) : cases.split(',');
const unknown = named.find((name) => !(name in CASES));
if (unknown !== undefined) throw new Error(`there is no case ${unknown}; there are: ${Object.keys(CASES).join(', ')}`);
await new Promise((resolve) => server.once('listening', resolve));
await makeInputs();
for (let round = 0; round < Number(rounds); round++) {
  // In turn, so that a slow phase of the machine meets both.
  for (const [name, measure] of Object.entries(CASES)) {
    if (!named.includes(name)) continue;
    for (const runner of round % 2 ? RUNNERS.toReversed() : RUNNERS) {
      const line = { case: name, runner, round };
      try {
        console.log(JSON.stringify({ kind: 'sample', ...line, ...(await measure(runner)) }));
      } catch (error) {
        console.log(JSON.stringify({ kind: 'unable', ...line, reason: String(error.message ?? error) }));
      }
    }
  }
}
server.close();
server.closeAllConnections();
