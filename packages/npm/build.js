// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Compiles the package: `node build.js OUT VARIANTS`. VARIANTS are the names of modules that are published, with
// commas. The folder OUT gets `browser/`, `node/`, types and the reference.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

import { reference } from './reference.js';

const [, , out, variants] = process.argv;
if (!out || !variants) throw new Error('node build.js OUT VARIANTS');
const root = fileURLToPath(new URL('.', import.meta.url));
const source = (name) => join(root, 'src', name);

const common = {
  absWorkingDir: root,
  bundle: true,
  define: { AFMPEG_VARIANTS: JSON.stringify(variants.split(',')) },
  format: 'esm',
  legalComments: 'inline',
  logLevel: 'warning',
  target: 'es2022',
};

/** The text of a worker, for where its file is not served. */
function workerSource(platform) {
  return {
    name: 'worker-source',
    setup(plugins) {
      plugins.onResolve({ filter: /^#worker-source$/ }, () => ({ path: 'worker', namespace: 'worker-source' }));
      plugins.onLoad({ filter: /.*/, namespace: 'worker-source' }, () => ({
        contents: `export default ${JSON.stringify(readFileSync(join(out, platform, 'worker.js'), 'utf8'))}`,
      }));
    },
  };
}

for (const platform of ['browser', 'node']) {
  const options = {
    ...common,
    conditions: [platform],
    external: ['node:*'],
    outdir: join(out, platform),
    platform: 'neutral',
  };
  const withoutSource = { ...workerSource(platform), name: 'no-worker-source' };
  withoutSource.setup = (plugins) => {
    plugins.onResolve({ filter: /^#worker-source$/ }, () => ({ path: 'none', namespace: 'none' }));
    plugins.onLoad({ filter: /.*/, namespace: 'none' }, () => ({ contents: "export default ''" }));
  };
  // A worker starts no workers, and is one file, so that its text is enough.
  await build({
    ...options,
    entryPoints: { worker: source('worker/worker.ts') },
    minify: true,
    plugins: [withoutSource],
  });
  await build({
    ...options,
    chunkNames: 'chunk-[hash]',
    entryPoints: { index: source('index.ts'), 'ffmpeg.wasm': source('ffmpeg-wasm.ts') },
    plugins: [workerSource(platform)],
    splitting: true,
  });
}

execFileSync(
  process.execPath,
  [
    join(root, 'node_modules/typescript/bin/tsc'),
    '-p',
    root,
    '--noEmit',
    'false',
    '--declaration',
    '--emitDeclarationOnly',
    '--stripInternal',
    '--rootDir',
    source('.'),
    '--outDir',
    join(out, 'types'),
  ],
  { stdio: 'inherit' },
);
// Declarations name each other as the scripts beside them would.
for (const name of readdirSync(join(out, 'types'), { recursive: true })) {
  const file = join(out, 'types', name);
  if (!name.endsWith('.d.ts')) continue;
  writeFileSync(file, readFileSync(file, 'utf8').replace(/(from '|import\(')(\.[^']*)\.ts'/g, "$1$2.js'"));
}
writeFileSync(join(out, 'reference.md'), reference(join(out, 'types')));
