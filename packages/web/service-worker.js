// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Keeps the page's files, so that it works without a network from its second load on. `files.js` lists them, with a
// digest of all. An open page keeps the files that it began with: a new version waits until all pages are closed.
import { files, version } from './files.js';

// Caches are the origin's, which may have other pages of the kind.
const PREFIX = `afmpeg ${registration.scope} `;
const NAME = PREFIX + version;

addEventListener('install', (event) => {
  const fill = async () => {
    const cache = await caches.open(NAME);
    // Not from the browser's cache, where some may be of another version; nor into it: `reload` replaces what is there,
    // and a page that reads it at the time finds it broken off.
    await cache.addAll(files.map((file) => new Request(file, { cache: 'no-store' })));
  };
  event.waitUntil(fill());
});

addEventListener('activate', (event) => {
  const clear = async () => {
    const names = await caches.keys();
    const old = names.filter((name) => name.startsWith(PREFIX) && name !== NAME);
    await Promise.all(old.map((name) => caches.delete(name)));
  };
  event.waitUntil(clear());
});

addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method !== 'GET' || new URL(request.url).origin !== location.origin) return;
  const answer = async () => {
    const cache = await caches.open(NAME);
    return (await cache.match(request, { ignoreSearch: true })) ?? fetch(request);
  };
  event.respondWith(answer());
});
