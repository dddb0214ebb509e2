// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// One sample in node: `node in-node.js RUNNER INPUT CORE`. RUNNER is `ours`, the package that is installed in the current
// folder, or `core`, with the folder CORE of @ffmpeg/core. Prints what was measured.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { runInThisContext } from 'node:vm';

import { TRANSCODE } from './jobs.js';

const [, , runner, input, coreFolder] = process.argv;

async function timed(act) {
  const started = performance.now();
  const value = await act();
  return [(performance.now() - started) / 1000, value];
}

const loaders = {
  async ours() {
    const found = createRequire(join(process.cwd(), 'package.json')).resolve('afmpeg');
    const { Runtime } = await import(pathToFileURL(found).href);
    const runtime = await Runtime.load();
    return async (data) => {
      const output = await runtime.run(['ffmpeg', ...TRANSCODE], { files: { 'in.mp4': data } });
      return output.expectSuccess().files['out.mp4'];
    };
  },

  /** It is made for a worker of a browser, and looks for these. */
  async core() {
    globalThis.self = globalThis;
    globalThis.location = { href: pathToFileURL(`${coreFolder}/`).href };
    const wasmBinary = await readFile(join(coreFolder, 'ffmpeg-core.wasm'));
    const script = await readFile(join(coreFolder, 'ffmpeg-core.js'), 'utf8');
    const create = runInThisContext(`${script}\ncreateFFmpegCore`);
    const core = await create({ wasmBinary, mainScriptUrlOrBlob: `${location.href}#${btoa('{}')}` });
    core.setLogger(() => undefined);
    return (data) => {
      core.FS.writeFile('in.mp4', data);
      const exitCode = core.exec('-nostdin', '-y', ...TRANSCODE);
      core.reset();
      if (exitCode !== 0) throw new Error(`@ffmpeg/core ended with ${exitCode}`);
      return core.FS.readFile('out.mp4');
    };
  },
};

const data = new Uint8Array(await readFile(input));
const [load_seconds, transcode] = await timed(loaders[runner]);
const [first_seconds, made] = await timed(() => transcode(data));
const [warm_seconds] = await timed(() => transcode(data));
if (!(made.byteLength > 1000)) throw new Error(`it made ${made.byteLength} bytes`);
console.log(JSON.stringify({ load_seconds, first_seconds, warm_seconds, output_bytes: made.byteLength }));
process.exit(0);
