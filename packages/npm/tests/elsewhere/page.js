// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// A program for a page, as bundlers take it. What comes of it is the title of the page.
import { Runtime } from 'afmpeg';
import module from '@afmpeg/VARIANT';

try {
  const runtime = await Runtime.load(module);
  const video = await (await fetch('/video.mp4')).blob();
  const run = ['ffmpeg', '-v', 'error', '-i', 'in.mp4', '-t', '1', '-vf', 'scale=64:-2', '-an', 'out.mkv'];
  const { files } = (await runtime.run(run, { files: { 'in.mp4': video } })).expectSuccess();
  const { streams } = await runtime.probe(files['out.mkv']);
  document.title = `made ${streams[0].codec_name} of ${streams[0].width} by ${streams[0].height}`;
} catch (error) {
  document.title = `failed: ${error.code} ${error.message}`;
}
