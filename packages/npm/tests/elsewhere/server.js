// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// A program for servers' engines other than node: `… server.js VARIANT`.
import { readFileSync } from 'node:fs';

import { path, Runtime } from 'afmpeg';

const runtime = await Runtime.load();
const words = (line) => line.split(' ');
const COPY = words('ffmpeg -v error -i in.mp4 -c copy out.mkv');
const video = readFileSync('video.mp4');

async function codecs(source) {
  const { streams } = await runtime.probe(source);
  return streams.map(({ codec_name }) => codec_name).join();
}

function equal(got, wanted) {
  if (got !== wanted) throw new Error(`got ${got}, wanted ${wanted}`);
}

const reader = { size: video.byteLength, read: async (offset, length) => video.subarray(offset, offset + length) };
for (const source of [new Uint8Array(video), new Blob([video]), path('video.mp4'), reader]) {
  const { files } = (await runtime.run(COPY, { files: { 'in.mp4': source } })).expectSuccess();
  equal(await codecs(files['out.mkv']), 'h264,aac');
}
const stdin = new Blob([(await runtime.run(COPY, { files: { 'in.mp4': video } })).files['out.mkv']]).stream();
const parts = [];
const stdout = new WritableStream({ write: (part) => void parts.push(part) });
const line = 'ffmpeg -v error -f matroska -i pipe:0 -c copy -movflags frag_keyframe+empty_moov -f mp4 pipe:1';
(await runtime.run(words(line), { stdin, stdout })).expectSuccess();
equal(await codecs(new Blob(parts)), 'h264,aac');
const endless = runtime.run(words('ffmpeg -v error -f lavfi -i testsrc2=d=100000 -f null -'), { timeout: 200 });
equal((await endless.catch((error) => error)).code, 'timeout');
const [frame] = await runtime.frames(path('video.mp4'), { at: [1], width: 64 });
equal(frame.height, 36);
runtime.close();
console.log('all is well');
