// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// The interface of ffmpeg.wasm, in node, where its own package does not run.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { FFFSType, FFmpeg, fetchFile, toBlobURL } from 'afmpeg/ffmpeg.wasm';

const VIDEO = join(process.cwd(), 'video.mp4');
const words = (line) => line.split(' ');

async function loaded() {
  const ffmpeg = new FFmpeg();
  const core = 'https://media.example/@ffmpeg/core@0.12.10/dist/esm/ffmpeg-core.js';
  assert.equal(await toBlobURL(core, 'text/javascript'), core);
  assert.equal(await ffmpeg.load({ coreURL: core }), true);
  assert.equal(await ffmpeg.load(), false);
  return ffmpeg;
}

test('files stay from one command to the next', async () => {
  const ffmpeg = await loaded();
  const logs = [];
  const progress = [];
  ffmpeg.on('log', ({ message }) => logs.push(message));
  const listener = (event) => progress.push(event);
  ffmpeg.on('progress', listener);
  await ffmpeg.writeFile('in.mp4', await fetchFile(VIDEO));
  await ffmpeg.createDir('out');
  assert.equal(await ffmpeg.exec(words('-i in.mp4 -t 1 -vf scale=160:-2 -c:a aac out/first.mp4')), 0);
  assert.ok(logs.some((line) => line.startsWith('Input #0')));
  assert.deepEqual([progress.at(-1).progress, progress.at(-1).time > 9e5], [1, true]);
  ffmpeg.off('progress', listener);
  assert.equal(await ffmpeg.exec(words('-i out/first.mp4 -c copy second.mkv')), 0);
  const probed = '-v error -show_entries format=format_name -of csv=p=0 second.mkv -o said.txt';
  assert.equal(await ffmpeg.ffprobe(words(probed)), 0);
  assert.equal((await ffmpeg.readFile('said.txt', 'utf8')).trim(), '"matroska,webm"');
  const names = (await ffmpeg.listDir('out')).map(({ name, isDir }) => [name, isDir]);
  assert.deepEqual(names, [
    ['.', true],
    ['..', true],
    ['first.mp4', false],
  ]);
  await ffmpeg.rename('out', 'other');
  assert.ok((await ffmpeg.readFile('/other/first.mp4')).byteLength > 1000);
  await assert.rejects(ffmpeg.deleteDir('other'), { name: 'ErrnoError' });
  await ffmpeg.deleteFile('other/first.mp4');
  await ffmpeg.deleteDir('other');
  await assert.rejects(ffmpeg.readFile('other/first.mp4'), { name: 'ErrnoError' });
  assert.notEqual(await ffmpeg.exec(words('-i none.mp4 x.mp4')), 0);
  ffmpeg.terminate();
});

test('folders that a command makes stay', async () => {
  const ffmpeg = await loaded();
  await ffmpeg.writeFile('in.mp4', await fetchFile(VIDEO));
  const playlist = 'out/v%v/all.m3u8';
  const streams = '-map 0:v -map 0:a -c copy -f hls -var_stream_map v:0,a:0';
  await ffmpeg.createDir('out');
  assert.equal(await ffmpeg.exec(words(`-i in.mp4 ${streams} -hls_segment_filename out/v%v/%d.ts ${playlist}`)), 0);
  const node = (await ffmpeg.listDir('out')).find(({ name }) => name === 'v0');
  assert.deepEqual(node, { name: 'v0', isDir: true });
  assert.ok((await ffmpeg.listDir('out/v0')).some(({ name }) => name === 'all.m3u8'));
  await ffmpeg.writeFile('out/v0/note.txt', 'text');
  assert.equal(await ffmpeg.exec(words('-i out/v0/all.m3u8 -c copy out/v0/whole.mp4')), 0);
  ffmpeg.terminate();
});

test('loads share one runtime, and terminate leaves none behind', async () => {
  const workers = [];
  const count = (worker) => workers.push(worker);
  process.on('worker', count);
  const ended = async () => {
    // A thread that has ended has no number.
    for (let turn = 0; turn < 500 && workers.some(({ threadId }) => threadId >= 0); turn++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return workers.every(({ threadId }) => threadId < 0);
  };
  const ffmpeg = new FFmpeg();
  const loads = [ffmpeg.load(), ffmpeg.load(), ffmpeg.load()];
  assert.deepEqual(await Promise.all(loads), [true, false, false]);
  ffmpeg.terminate();
  const ending = ffmpeg.load();
  ffmpeg.terminate();
  const next = ffmpeg.load();
  await assert.rejects(ending, { message: 'called FFmpeg.terminate()' });
  assert.equal(await next, true);
  assert.equal(await ffmpeg.exec(['-version']), 0);
  ffmpeg.terminate();
  assert.ok(await ended(), 'workers of an ended runtime go on');
  process.off('worker', count);
});

test('Files are mounted, and only read', async () => {
  const ffmpeg = await loaded();
  const data = new Blob([readFileSync(VIDEO)]);
  await ffmpeg.createDir('/input');
  assert.equal(await ffmpeg.mount(FFFSType.WORKERFS, { blobs: [{ name: 'a.mp4', data }] }, '/input'), true);
  assert.equal(await ffmpeg.mount('IDBFS', {}, '/other'), false);
  assert.equal(await ffmpeg.exec(words('-i /input/a.mp4 -c copy b.mkv')), 0);
  // The input is another one, since ffmpeg itself refuses to write what it reads.
  assert.notEqual(await ffmpeg.exec(words('-y -i b.mkv -c copy -f matroska /input/a.mp4')), 0);
  assert.notEqual(await ffmpeg.exec(words('-i b.mkv -c copy /input/new.mkv')), 0);
  assert.deepEqual((await ffmpeg.listDir('/input')).map(({ name }) => name), ['.', '..', 'a.mp4']);
  const [mounted, original] = [await ffmpeg.readFile('/input/a.mp4'), readFileSync(VIDEO)];
  assert.equal(Buffer.compare(mounted, original), 0, 'the mounted file is another one');
  await ffmpeg.unmount('/input');
  await assert.rejects(ffmpeg.readFile('/input/a.mp4'));
  ffmpeg.terminate();
});

test('commands end in time, by a signal, and with terminate', async () => {
  const ffmpeg = await loaded();
  const endless = words('-f lavfi -i testsrc2=d=100000 -f null -');
  assert.equal(await ffmpeg.exec(endless, 100), 1);
  const controller = new AbortController();
  const aborted = ffmpeg.exec(endless, undefined, { signal: controller.signal });
  controller.abort();
  await assert.rejects(aborted, { name: 'AbortError' });
  // One runs, and one waits for it.
  const [runs, waits] = [ffmpeg.exec(endless), ffmpeg.listDir('/')];
  setTimeout(ffmpeg.terminate, 100);
  await assert.rejects(runs, { message: 'called FFmpeg.terminate()' });
  await assert.rejects(waits, { message: 'called FFmpeg.terminate()' });
  await assert.rejects(ffmpeg.exec(endless), { message: /not loaded/ });
  assert.equal(await ffmpeg.load(), true);
  assert.equal(await ffmpeg.exec(['-version']), 0);
  ffmpeg.terminate();
});
