// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Tries the packages with bundlers, engines and Firefox: `node run.js FOLDER VARIANT CHROMIUM FIREFOX [NAME…]`. In FOLDER
// are the packages, installed by npm, the tests of the folder above, and video.mp4. What is tried with is installed beside
// this file: `npm ci`.
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';
import puppeteer from 'puppeteer-core';

import { runPages } from '../suite.js';

const [, , folder, variant, browserPath, firefoxPath, ...names] = process.argv;
const here = fileURLToPath(new URL('.', import.meta.url));
const program = (name) => join(here, 'node_modules/.bin', name);
const WANTED = /^made \w+ of 64 by 36$/;

const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
};

/** Puts a program in a folder of its own among the installed packages, as a user's would lie. */
function app(name, ...files) {
  const place = join(folder, 'apps', name);
  rmSync(place, { recursive: true, force: true });
  mkdirSync(place, { recursive: true });
  for (const file of files) {
    writeFileSync(join(place, file), readFileSync(join(here, file), 'utf8').replaceAll('VARIANT', variant));
  }
  cpSync(join(folder, 'video.mp4'), join(place, 'video.mp4'));
  return place;
}

async function served(root, use) {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    const path = join(root, pathname === '/' ? 'index.html' : pathname);
    if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return response.writeHead(404).end();
    response.writeHead(200, { 'Content-Type': TYPES[extname(path)] ?? 'application/octet-stream' });
    response.end(readFileSync(path));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  try {
    return await use(`http://127.0.0.1:${server.address().port}/`);
  } finally {
    server.close();
  }
}

async function titleOf(address) {
  const browser = await chromium.launch({ executablePath: browserPath, args: ['--no-sandbox'] });
  try {
    const page = await browser.newPage();
    page.on('pageerror', (error) => console.error(error.stack));
    await page.goto(address);
    await page.waitForFunction(() => document.title !== '', undefined, { timeout: 120_000 });
    const title = await page.title();
    if (!WANTED.test(title)) throw new Error(title);
  } finally {
    await browser.close();
  }
}

const tries = {
  deno: () => server('deno', 'run', '--allow-all'),
  bun: () => server('bun', 'run'),

  async esbuild() {
    const place = app('esbuild', 'page.js', 'index.html');
    const esbuild = await import('esbuild');
    const out = join(place, 'out');
    await esbuild.build({ absWorkingDir: place, bundle: true, entryPoints: ['page.js'], format: 'esm', outdir: out });
    for (const file of ['module.wasm', 'module.wasm.gz'])
      cpSync(join(folder, 'node_modules/@afmpeg', variant, file), join(out, file));
    for (const file of ['index.html', 'video.mp4']) cpSync(join(place, file), join(out, file));
    await served(out, titleOf);
  },

  async webpack() {
    const place = app('webpack', 'page.js', 'index.html');
    const { default: webpack } = await import('webpack');
    const stats = await new Promise((resolve, reject) => {
      const options = {
        context: place,
        entry: './page.js',
        mode: 'production',
        output: { path: join(place, 'out'), filename: 'page.js' },
      };
      webpack(options, (error, stats) => (error ? reject(error) : resolve(stats)));
    });
    if (stats.hasErrors()) throw new Error(stats.toString());
    for (const file of ['index.html', 'video.mp4']) cpSync(join(place, file), join(place, 'out', file));
    await served(join(place, 'out'), titleOf);
  },

  async vite() {
    const place = app('vite', 'page.js', 'index.html');
    const { build } = await import('vite');
    await build({ root: place, logLevel: 'warn', build: { outDir: 'out' } });
    cpSync(join(place, 'video.mp4'), join(place, 'out/video.mp4'));
    await served(join(place, 'out'), titleOf);
  },

  'vite, while developing': async () => developing('vite', await import('vite')),
  // It moves scripts of packages without the files beside them.
  'vite 4, while developing': async () => developing('vite-4', await import('vite-4')),

  async workerd() {
    const place = app('workerd', 'edge.js');
    cpSync(join(folder, 'node_modules/@afmpeg', variant, 'module.wasm'), join(place, 'module.wasm'));
    const esbuild = await import('esbuild');
    await esbuild.build({
      absWorkingDir: place,
      bundle: true,
      conditions: ['workerd'],
      entryPoints: ['edge.js'],
      external: ['*.wasm'],
      format: 'esm',
      outfile: join(place, 'out.js'),
    });
    const PORT = 8799;
    writeFileSync(
      join(place, 'config.capnp'),
      `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (
    modules = [(name = "out.js", esModule = embed "out.js"), (name = "module.wasm", wasm = embed "module.wasm")],
    compatibilityDate = "2026-01-01"
  ))],
  sockets = [(name = "http", address = "127.0.0.1:${PORT}", http = (), service = "main")]
);`,
    );
    const server = spawn(workerd(), ['serve', 'config.capnp'], { cwd: place, stdio: 'inherit' });
    try {
      const url = `http://127.0.0.1:${PORT}/`;
      // The module is compiled when it is first asked for.
      await again(() => fetch(url, { method: 'HEAD' }));
      const before = peakBytes(server.pid);
      for (let count = 0; count < 5; count++) {
        const answer = await fetch(url, { method: 'POST', body: readFileSync(join(folder, 'video.mp4')) });
        const said = await answer.text();
        if (said !== '["h264","aac"]') throw new Error(said);
      }
      const peak = peakBytes(server.pid);
      const megabytes = (peak - before) / 1e6;
      console.log(`workerd had ${(peak / 1e6).toFixed()} MB at most, ${megabytes.toFixed()} MB of them for five requests`);
      // What edge runtimes give a program.
      if (variant.endsWith('-lean') && megabytes > 128) throw new Error(`${megabytes} MB are more than 128`);
    } finally {
      server.kill();
    }
  },

  async firefox() {
    const options = { browser: 'firefox', executablePath: firefoxPath, headless: true, protocolTimeout: 600_000 };
    const browser = await puppeteer.launch(options);
    try {
      const failed = await runPages(folder, () => browser.newPage());
      if (failed > 0) throw new Error(`${failed} tests failed in Firefox`);
    } finally {
      await browser.close();
    }
  },
};

async function developing(name, { createServer }) {
  const place = app(`${name}-dev`, 'page.js', 'index.html');
  const server = await createServer({
    root: place,
    logLevel: 'warn',
    server: { host: '127.0.0.1', fs: { allow: [folder] } },
  });
  await server.listen();
  try {
    await titleOf(server.resolvedUrls.local[0]);
  } finally {
    await server.close();
  }
}

/** The program itself: the one that npm links starts it, and has no memory of its own to speak of. */
function workerd() {
  const { default: path } = createRequire(import.meta.url)('workerd');
  return path;
}

/** The most memory that a process had at a time, where the system tells it. */
function peakBytes(id) {
  return 1024 * Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${id}/status`, 'utf8'))?.[1]);
}

/** A server takes a moment to start. */
async function again(ask) {
  for (let tried = 0; ; tried++) {
    try {
      return await ask();
    } catch (error) {
      if (tried === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

function server(name, ...args) {
  const place = app(name, 'server.js');
  const said = execFileSync(program(name), [...args, 'server.js'], { cwd: place, encoding: 'utf8', timeout: 300_000 });
  if (said.trim() !== 'all is well') throw new Error(said);
}

let failed = 0;
for (const [name, attempt] of Object.entries(tries)) {
  if (names.length > 0 && !names.includes(name)) continue;
  try {
    await attempt();
    console.log(`ok ${name}`);
  } catch (error) {
    failed++;
    console.log(`FAILED ${name}: ${error.stack ?? error}`);
  }
}
process.exit(failed > 0 ? 1 : 0);
