// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// The package, with the interface of the measured runners.
import { Runtime } from '/node_modules/afmpeg/browser/index.js';
import { REMUX, TRANSCODE } from './jobs.js';

export async function load(variant) {
  const { default: description } = await import(`/node_modules/@afmpeg/${variant}/index.js`);
  const runtime = await Runtime.load(description, { jobsMax: 2 });
  const run = async (file, args, output) => {
    const made = await runtime.run(['ffmpeg', ...args], { files: { 'in.mp4': file } });
    return made.expectSuccess().files[output];
  };
  const transcode = (file) => run(file, TRANSCODE, 'out.mp4');
  return {
    transcode,
    remux: (file) => run(file, REMUX, 'out.mkv'),
    probe: (file) => runtime.probe(file),
    beside: async () => (file) => Promise.all([transcode(file), transcode(file)]),
  };
}
