// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Runs the tests of page.html in a browser that some library drives.
import { serve } from './server.js';

/** How pages are served, and the tests that each is for. */
const KINDS = [
  { name: 'a page', server: {}, tests: 'tests' },
  { name: 'an isolated page', server: { isIsolated: true, suspends: false }, tests: 'tests' },
  { name: 'an engine that cannot wait', server: { suspends: false }, tests: 'testsWithoutWaiting' },
];

/** Says how a test went; gives whether it passed. */
export async function attempt(name, test) {
  const started = performance.now();
  const fault = await test().then(
    () => undefined,
    (error) => error,
  );
  const took = Math.round(performance.now() - started);
  console.log(`${fault === undefined ? 'ok' : 'FAILED'} ${name} (${took} ms)`);
  if (fault !== undefined) console.log(fault.stack ?? fault);
  return fault === undefined;
}

/** What a test in a page threw, as a value that can be passed on. */
export async function inPage(page, tests, name) {
  const fault = await page.evaluate(
    async ([tests, name]) => {
      try {
        await globalThis[tests][name]();
        return undefined;
      } catch (error) {
        return `${error} ${error.code ?? ''}\n${error.stack}`;
      }
    },
    [tests, name],
  );
  if (fault !== undefined) throw new Error(fault);
}

/** `newPage` opens a page of Playwright or Puppeteer. Gives the number of tests that failed. */
export async function runPages(root, newPage) {
  let failed = 0;
  for (const { name: kind, server: options, tests } of KINDS) {
    const server = await serve(root, options);
    const page = await newPage();
    try {
      await page.goto(`${server.origin}/tests/page.html${options.isIsolated ? '?isolated' : ''}`);
      await page.waitForFunction(() => globalThis.tests !== undefined);
      const names = await page.evaluate((tests) => Object.keys(globalThis[tests]), tests);
      if (names.length === 0) throw new Error(`there are no ${tests}`);
      for (const name of names) {
        if (!(await attempt(`${kind}: ${name}`, () => inPage(page, tests, name)))) failed++;
      }
    } finally {
      await page.close();
      server.close();
    }
  }
  return failed;
}
