// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Serves a folder to a browser, and runs tests in a page of it: `node browser.js FOLDER BROWSER`. In FOLDER are the
// packages, installed, these tests, and video.mp4. AFMPEG_NODE_MODULES names the folder that has playwright-core.
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { extname, join, normalize } from 'node:path';

const [, , root, browserPath] = process.argv;
const { chromium } = createRequire(join(process.env.AFMPEG_NODE_MODULES, 'here'))('playwright-core');

const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mp4': 'video/mp4',
  '.wasm': 'application/wasm',
  '.gz': 'application/gzip',
};

/** What is allowed to pages: no code but their own files', and WebAssembly. */
const POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'";

function serve(request, response) {
  const url = new URL(request.url, 'http://localhost');
  const path = join(root, normalize(decodeURIComponent(url.pathname)));
  const stats = statSync(path, { throwIfNoEntry: false });
  if (!stats?.isFile()) return response.writeHead(404).end();
  const headers = {
    'Content-Type': TYPES[extname(path)] ?? 'application/octet-stream',
    'Content-Security-Policy': POLICY,
    'Last-Modified': stats.mtime.toUTCString(),
  };
  // As Vite and others do it: what is compressed is said to be the other file, compressed for the way.
  if (path.endsWith('.wasm.gz') && url.searchParams.has('encoded')) {
    Object.assign(headers, { 'Content-Type': 'application/wasm', 'Content-Encoding': 'gzip' });
  }
  const range = url.searchParams.has('whole') ? null : /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  if (!range) {
    response.writeHead(200, { ...headers, 'Content-Length': stats.size });
    return createReadStream(path).pipe(response);
  }
  const start = Number(range[1]);
  const end = Math.min(range[2] === '' ? Infinity : Number(range[2]), stats.size - 1);
  response.writeHead(206, {
    ...headers,
    'Content-Length': end - start + 1,
    'Content-Range': `bytes ${start}-${end}/${stats.size}`,
  });
  return createReadStream(path, { start, end }).pipe(response);
}

const server = createServer(serve).listen(0, '127.0.0.1');
await new Promise((resolve) => server.once('listening', resolve));
const origin = `http://localhost:${server.address().port}`;
const browser = await chromium.launch({ executablePath: browserPath, args: ['--no-sandbox'] });
let failed = 0;
try {
  const page = await browser.newPage();
  page.on('pageerror', (error) => console.error(`page: ${error.stack}`));
  page.on('console', (message) => process.env.AFMPEG_TEST_CONSOLE && console.error(`console: ${message.text()}`));
  await page.goto(`${origin}/tests/page.html`);
  await page.waitForFunction(() => globalThis.tests !== undefined);
  const names = await page.evaluate(() => Object.keys(globalThis.tests));
  for (const name of names) {
    const started = performance.now();
    const fault = await page.evaluate(async (name) => {
      try {
        await globalThis.tests[name]();
        return undefined;
      } catch (error) {
        return `${error.stack ?? error} ${error.code ?? ''}`;
      }
    }, name);
    const took = Math.round(performance.now() - started);
    console.log(`${fault === undefined ? 'ok' : 'FAILED'} ${name} (${took} ms)`);
    if (fault !== undefined) {
      failed++;
      console.log(fault);
    }
  }
} finally {
  await browser.close();
  server.close();
}
if (failed > 0) {
  console.log(`${failed} tests failed in the browser`);
  process.exitCode = 1;
}
