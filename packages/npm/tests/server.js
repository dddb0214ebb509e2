// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Serves a folder to pages of a browser.
import { createReadStream, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';

const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mp4': 'video/mp4',
  '.wasm': 'application/wasm',
  '.gz': 'application/gzip',
};

/** What is allowed to pages: no code but their own files', and WebAssembly; to play what they have made. */
const POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; media-src 'self' blob:";

/** With these a page is isolated from other origins, and may share memory with its workers. */
const ISOLATION = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

/** Takes from workers what not every engine has. */
const WITHOUT_SUSPENDING = 'delete WebAssembly.Suspending;\n';

/**
 * `isIsolated`: pages are cross-origin isolated. `suspends`: workers have JavaScript Promise Integration, if the browser
 * has it.
 */
export async function serve(root, { isIsolated = false, suspends = true } = {}) {
  const server = createServer((request, response) => {
    const url = new URL(request.url, 'http://localhost');
    const path = join(root, normalize(decodeURIComponent(url.pathname)));
    const stats = statSync(path, { throwIfNoEntry: false });
    if (!stats?.isFile()) return response.writeHead(404).end();
    const headers = {
      'Content-Type': TYPES[extname(path)] ?? 'application/octet-stream',
      'Content-Security-Policy': POLICY,
      'Last-Modified': stats.mtime.toUTCString(),
      ...(isIsolated ? ISOLATION : {}),
    };
    if (!suspends && path.endsWith('/worker.js')) {
      response.writeHead(200, headers);
      return response.end(WITHOUT_SUSPENDING + readFileSync(path, 'utf8'));
    }
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
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { origin: `http://localhost:${server.address().port}`, close };
}
