// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Tests in Chromium: `node browser.js FOLDER BROWSER`. In FOLDER are the packages, installed, these tests, and video.mp4.
// AFMPEG_NODE_MODULES names the folder that has playwright-core.
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { serve } from './server.js';
import { attempt, inPage, runPages } from './suite.js';

const [, , root, browserPath] = process.argv;
const { chromium } = createRequire(join(process.env.AFMPEG_NODE_MODULES, 'here'))('playwright-core');

const scratch = mkdtempSync(join(tmpdir(), 'afmpeg-'));
// With a profile on the disk: others keep OPFS in memory, and no quota.
const context = await chromium.launchPersistentContext(join(scratch, 'profile'), {
  executablePath: browserPath,
  args: ['--no-sandbox'],
});

async function newPage() {
  const page = await context.newPage();
  page.on('pageerror', (error) => console.error(`page: ${error.stack}`));
  page.on('console', (message) => process.env.AFMPEG_TEST_CONSOLE && console.error(`console: ${message.text()}`));
  return page;
}

/** Tests that need more than a page can do by itself. */
const tests = {
  async 'a full storage is told of, and the job after it runs'({ origin, page }) {
    const session = await context.newCDPSession(page);
    await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 2e6 });
    await inPage(page, 'driven', 'storage is full');
    await session.send('Storage.overrideQuotaForOrigin', { origin });
    await inPage(page, 'driven', 'storage is not full');
  },

  async 'two tabs work beside each other'({ page, open }) {
    const other = await open();
    await inPage(page, 'driven', 'a file is written until told otherwise');
    await inPage(other, 'driven', 'that file is in use, and others are not');
    await inPage(page, 'driven', 'the file is let go of');
    await inPage(other, 'driven', 'that file is free');
    await Promise.all([page, other].map((page) => inPage(page, 'driven', 'a folder is shared')));
    await inPage(page, 'driven', 'a shared folder has what both wrote');
    await other.close();
  },

  async 'a File of 5 GB is probed and cut without being read whole'({ page }) {
    // Its media are in the first megabytes; the rest is a hole.
    const large = join(scratch, 'large.mkv');
    writeFileSync(large, Buffer.from(await page.evaluate(() => globalThis.asMatroska()), 'base64'));
    truncateSync(large, 5 * 2 ** 30);
    await page.setInputFiles('#file', large);
    await inPage(page, 'driven', 'a large File');
  },
};

let failed = 0;
try {
  failed += await runPages(root, newPage);
  const server = await serve(root);
  const open = async () => {
    const page = await newPage();
    await page.goto(`${server.origin}/tests/page.html`);
    await page.waitForFunction(() => globalThis.tests !== undefined);
    return page;
  };
  for (const [name, test] of Object.entries(tests)) {
    const page = await open();
    if (!(await attempt(name, () => test({ origin: server.origin, page, open })))) failed++;
    await page.close();
  }
  server.close();
} finally {
  await context.close();
  rmSync(scratch, { recursive: true });
}
if (failed > 0) {
  console.log(`${failed} tests failed in the browser`);
  process.exitCode = 1;
}
