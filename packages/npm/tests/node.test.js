// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// The package in node, with the module that is installed.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';

import {
  AbortedError,
  folder,
  LimitError,
  path,
  ProgramError,
  Runtime,
  SourceError,
  TimeoutError,
  UnsupportedError,
  UsageError,
} from 'afmpeg';

const scratch = mkdtempSync(join(tmpdir(), 'afmpeg-'));
after(() => rmSync(scratch, { recursive: true }));
const VIDEO = join(process.cwd(), 'video.mp4');
const video = readFileSync(VIDEO);
const runtime = await Runtime.load();

const words = (line) => line.split(' ');
const COPY = words('ffmpeg -v error -i in.mp4 -c copy out.mkv');
const ENDLESS = words('ffmpeg -v error -f lavfi -i testsrc2=d=100000 -f null -');

async function codecs(source) {
  const { streams } = await runtime.probe(source);
  return streams.map(({ codec_name }) => codec_name).join();
}

const isError = (Kind, code) => (error) => error instanceof Kind && error.code === code;

test('files of every kind are read, and none is changed', async () => {
  const { byteLength } = (await runtime.run(COPY, { files: { 'in.mp4': video } })).files['out.mkv'];
  const server = createServer((request, response) => {
    const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range).map(Number);
    const last = Math.min(end, video.byteLength - 1);
    response.writeHead(206, { 'Content-Range': `bytes ${start}-${last}/${video.byteLength}` });
    response.end(video.subarray(start, last + 1));
  }).listen(0);
  await once(server, 'listening');
  const sources = {
    bytes: new Uint8Array(video),
    blob: new Blob([video]),
    path: path(VIDEO),
    url: pathToFileURL(VIDEO),
    http: new URL(`http://localhost:${server.address().port}/video.mp4`),
    reader: { size: video.byteLength, read: (offset, length) => video.subarray(offset, offset + length) },
  };
  for (const [kind, source] of Object.entries(sources)) {
    const output = await runtime.run(COPY, { files: { 'in.mp4': source } });
    assert.equal(output.expectSuccess().files['out.mkv'].byteLength, byteLength, kind);
  }
  server.close();
});

test('paths and folders are written where that is allowed', async () => {
  const out = join(scratch, 'out.mkv');
  const files = { 'in.mp4': path(VIDEO), 'out.mkv': path(out, { write: true }) };
  const output = (await runtime.run([...COPY, '-y'], { files })).expectSuccess();
  assert.deepEqual(output.files, {});
  assert.equal(await codecs(path(out)), 'h264,aac');
  const segments = words('ffmpeg -v error -i in.mp4 -c copy -f segment -segment_time 1 clips/%03d.ts');
  (
    await runtime.run(segments, { files: { 'in.mp4': video, clips: folder(scratch, { write: true }) } })
  ).expectSuccess();
  assert.ok(statSync(join(scratch, '000.ts')).size > 0);
  const refused = await runtime.run(segments, { files: { 'in.mp4': video, clips: folder(scratch) } });
  assert.notEqual(refused.exitCode, 0);
});

test('a file is opened and closed as often as a job likes', async () => {
  const list = path(join(scratch, 'list.csv'), { write: true });
  const line = words('ffmpeg -v error -i in.mp4 -c copy -f segment -segment_time 1 -segment_list list.csv -y %03d.ts');
  (await runtime.run([...line], { files: { 'in.mp4': path(VIDEO), 'list.csv': list } })).expectSuccess();
  assert.match(readFileSync(join(scratch, 'list.csv'), 'utf8'), /^000.ts,/);
  const twice = words('ffmpeg -v error -i in.mp4 -i in.mp4 -map 0 -map 1 -c copy out.mkv');
  (await runtime.run(twice, { files: { 'in.mp4': path(VIDEO) } })).expectSuccess();
});

test('a writer takes an output, and reads it back', async () => {
  let kept = new Uint8Array(0);
  const writer = {
    size: 0,
    read: (offset, length) => kept.subarray(offset, offset + length),
    write: async (offset, data) => {
      const grown = new Uint8Array(Math.max(kept.length, offset + data.length));
      grown.set(kept);
      grown.set(data, offset);
      kept = grown;
    },
  };
  const line = words('ffmpeg -v error -i in.mp4 -c copy -movflags +faststart -y out.mp4');
  (await runtime.run(line, { files: { 'in.mp4': video, 'out.mp4': writer } })).expectSuccess();
  assert.equal(await codecs(kept), 'h264,aac');
});

test('a frame goes out before the next one comes', async () => {
  const FRAMES = 10;
  const lines = [];
  let wake = () => {};
  const stdout = new WritableStream({
    write(chunk) {
      lines.push(...new TextDecoder().decode(chunk).split('\n').filter((line) => /^\d/.test(line)));
      wake();
    },
  });
  async function* frames() {
    for (let frame = 0; frame < FRAMES; frame++) {
      yield new Uint8Array(64 * 64).fill(frame * 9);
      while (lines.length <= frame) await new Promise((resolve) => (wake = resolve));
    }
  }
  const raw = '-probesize 32 -analyzeduration 0 -f rawvideo -pix_fmt gray -s 64x64 -r 25 -i pipe:0';
  const line = `ffmpeg -v error ${raw} -f framecrc -flush_packets 1 -`.split(' ');
  (await runtime.run(line, { stdin: frames(), stdout, timeout: 60_000 })).expectSuccess();
  assert.equal(lines.length, FRAMES);
});

test('streams of any length pass through', async () => {
  const { files } = await runtime.run(COPY, { files: { 'in.mp4': video } });
  const parts = [];
  const stdout = new WritableStream({ write: (part) => void parts.push(part) });
  const line = words('ffmpeg -v error -f matroska -i pipe:0 -c copy -movflags frag_keyframe+empty_moov -f mp4 pipe:1');
  (await runtime.run(line, { stdin: Readable.from([files['out.mkv']]), stdout })).expectSuccess();
  assert.equal(await codecs(Buffer.concat(parts)), 'h264,aac');
  const failing = new WritableStream({ write: () => Promise.reject(new Error('full')) });
  await assert.rejects(
    runtime.run(line, { stdin: files['out.mkv'], stdout: failing }),
    isError(SourceError, 'stream-failed'),
  );
});

test('a signal and a timeout hold while standard output is closed', { timeout: 60_000 }, async () => {
  const one = await Runtime.load(undefined, { jobsMax: 1 });
  const version = ['ffprobe', '-version'];
  const controller = new AbortController();
  const [closing, close] = [new AbortController(), () => new Promise(() => {})];
  const stdout = new WritableStream({ close: () => (closing.abort(), close()) });
  const job = one.run(version, { stdout, signal: controller.signal });
  await once(closing.signal, 'abort');
  // Meanwhile the job's place is another's.
  (await one.run(version)).expectSuccess();
  controller.abort();
  await assert.rejects(job, isError(AbortedError, 'aborted'));
  const late = one.run(version, { stdout: new WritableStream({ close }), timeout: 1000 });
  await assert.rejects(late, isError(TimeoutError, 'timeout'));
  one.close();
});

test('streams end with a job that never begins', { timeout: 60_000 }, async () => {
  const one = await Runtime.load(undefined, { jobsMax: 1 });
  const before = new AbortController();
  const first = one.run(ENDLESS, { signal: before.signal });
  const failures = [
    ['timeout', { timeout: 50 }],
    ['aborted', { signal: AbortSignal.abort() }],
    ['bad-limit', { stdoutMaxBytes: -1 }],
    ['bad-environment', { env: { 'A=B': 'C' } }],
    ['unreachable', { files: { 'in.mp4': new URL('http://localhost:9/video.mp4') } }],
    ['not-cut', { parallel: 'require' }],
  ];
  for (const [code, options] of failures) {
    const { readable, writable } = new TransformStream();
    const cancelling = new AbortController();
    const cancelled = once(cancelling.signal, 'abort');
    const stdin = new ReadableStream({ cancel: () => cancelling.abort() });
    const job = one.run(COPY, { stdin, stdout: writable, ...options });
    await assert.rejects(job, (error) => error.code === code, code);
    await assert.rejects(readable.getReader().read(), (error) => error.code === code, code);
    await cancelled;
    if (code !== 'timeout') continue;
    before.abort();
    await assert.rejects(first);
  }
  one.close();
});

test('streams that are none, another one has, or fail at once', async () => {
  const read = words('ffprobe -v error -i pipe:0');
  const locked = new ReadableStream();
  locked.getReader();
  await assert.rejects(runtime.run(read, { stdin: 'text' }), isError(UsageError, 'not-a-stream'));
  await assert.rejects(runtime.run(read, { stdin: locked }), isError(UsageError, 'locked'));
  const taken = new WritableStream();
  taken.getWriter();
  await assert.rejects(runtime.run(read, { stdout: taken }), isError(UsageError, 'locked'));
  await assert.rejects(runtime.run(read, { stdout: {} }), isError(UsageError, 'not-a-stream'));
  const next = () => {
    throw new Error('gone');
  };
  const stdin = { [Symbol.asyncIterator]: () => ({ next }) };
  await assert.rejects(runtime.run(read, { stdin }), isError(SourceError, 'stream-failed'));
});

test('a part of a large buffer is sent without the rest', async () => {
  const whole = new Uint8Array(2 ** 30);
  whole.set(video);
  const before = process.memoryUsage().rss;
  let most = 0;
  const onLog = () => (most = Math.max(most, process.memoryUsage().rss));
  const files = { 'in.mp4': whole.subarray(0, video.byteLength) };
  (await runtime.run(words('ffprobe in.mp4'), { files, onLog })).expectSuccess();
  assert.ok(most > 0 && most - before < 2 ** 29, `${most - before} bytes more were in use`);
});

test('a sparse file of 5 GB is probed and cut without being read whole', async () => {
  // Its media are in the first megabytes; the index that comes with them covers all of it.
  const large = join(scratch, 'large.mkv');
  const { files } = await runtime.run(COPY, { files: { 'in.mp4': video } });
  const fd = openSync(large, 'w');
  writeSync(fd, files['out.mkv']);
  ftruncateSync(fd, 5 * 2 ** 30);
  closeSync(fd);
  let readBytes = 0;
  const blob = {
    size: 5 * 2 ** 30,
    read: (offset, length) => {
      readBytes += length;
      const buffer = Buffer.alloc(length);
      const fd = openSync(large, 'r');
      const part = buffer.subarray(0, readSync(fd, buffer, 0, length, offset));
      closeSync(fd);
      return part;
    },
  };
  const { format } = await runtime.probe(blob);
  assert.equal(format.size, 5 * 2 ** 30);
  const cut = words('ffmpeg -v error -ss 1 -i in.mkv -t 1 -c copy out.mkv');
  const output = await runtime.run(cut, { files: { 'in.mkv': blob } });
  assert.equal(await codecs(output.expectSuccess().files['out.mkv']), 'h264,aac');
  assert.ok(readBytes < 64 * 2 ** 20, `${readBytes} bytes were read`);
});

test('a job stops, and leaves nothing behind', async () => {
  const before = process.memoryUsage().rss;
  const times = [];
  for (let count = 0; count < 20; count++) {
    const controller = new AbortController();
    const delay = count * 15;
    let aborted = 0;
    setTimeout(() => {
      aborted = performance.now();
      controller.abort(count);
    }, delay);
    const error = await runtime.run(ENDLESS, { signal: controller.signal }).catch((error) => error);
    times.push(performance.now() - aborted);
    assert.ok(isError(AbortedError, 'aborted')(error), String(error));
    assert.equal(error.cause, count);
  }
  // The median, as other programs take this machine's time, too.
  const [median] = times.sort((one, other) => one - other).slice(times.length / 2);
  assert.ok(median < 100, `it took ${median} ms to stop`);
  await assert.rejects(runtime.run(ENDLESS, { signal: AbortSignal.abort() }), isError(AbortedError, 'aborted'));
  await assert.rejects(runtime.run(ENDLESS, { timeout: 100 }), isError(TimeoutError, 'timeout'));
  const large = words('ffmpeg -v error -f lavfi -i testsrc2=s=3840x2160 -f null -');
  await assert.rejects(runtime.run(large, { memoryMaxBytes: 1e8 }), isError(LimitError, 'limit'));
  const endlessFile = words('ffmpeg -v error -f lavfi -i testsrc2=d=100000 -c:v rawvideo out.nut');
  await assert.rejects(runtime.run(endlessFile, { writtenMaxBytes: 1e6 }), isError(LimitError, 'limit'));
  await assert.rejects(runtime.run(endlessFile, { filesMaxBytes: 1e6 }), isError(LimitError, 'limit'));
  (await runtime.run(COPY, { files: { 'in.mp4': video } })).expectSuccess();
  const grown = process.memoryUsage().rss - before;
  assert.ok(grown < 400e6, `${grown} bytes more are in use`);
});

test('a Blob that shrinks, and a source that fails', async () => {
  const short = { size: video.byteLength, read: (offset, length) => video.subarray(offset, offset + length / 2) };
  await assert.rejects(runtime.run(COPY, { files: { 'in.mp4': short } }), isError(SourceError, 'changed'));
  const error = await runtime.run(COPY, { files: { 'in.mp4': path(join(scratch, 'none')) } }).catch((error) => error);
  assert.ok(isError(SourceError, 'unreadable')(error), String(error));
  assert.match(error.message, /none/);
  await assert.rejects(
    runtime.run(COPY, { files: { in: folder(join(scratch, 'none')) } }),
    isError(SourceError, 'unreadable'),
  );
  const gone = new URL('http://localhost:9/video.mp4');
  await assert.rejects(runtime.run(COPY, { files: { 'in.mp4': gone } }), isError(SourceError, 'unreachable'));
});

test('a server that goes away in the midst of an answer', async () => {
  const server = createServer((request, response) => {
    const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range).map(Number);
    const headers = { 'Content-Range': `bytes ${start}-${end}/${video.byteLength}`, 'Content-Length': end - start + 1 };
    response.writeHead(206, headers);
    if (end === 0) return response.end(video.subarray(0, 1));
    response.write(video.subarray(start, start + 100));
    setTimeout(() => response.destroy(), 20);
  }).listen(0);
  await once(server, 'listening');
  const address = new URL(`http://localhost:${server.address().port}/video.mp4`);
  await assert.rejects(runtime.run(COPY, { files: { 'in.mp4': address } }), isError(SourceError, 'unreachable'));
  server.close();
});

test('a FIFO is no file, and keeps no worker waiting', async () => {
  const fifo = join(scratch, 'fifo');
  execFileSync('mkfifo', [fifo]);
  try {
    const job = runtime.run(COPY, { files: { 'in.mp4': path(fifo) }, timeout: 20_000 });
    await assert.rejects(job, isError(SourceError, 'unreadable'));
  } finally {
    // What still waits for a writer has one.
    closeSync(openSync(fifo, 'r+'));
  }
});

test('a job in the calling thread', async () => {
  const output = await runtime.run(COPY, { files: { 'in.mp4': video }, worker: false });
  assert.equal(await codecs(output.expectSuccess().files['out.mkv']), 'h264,aac');
  await assert.rejects(runtime.run(ENDLESS, { timeout: 100, worker: false }), isError(TimeoutError, 'timeout'));
  if (!('Suspending' in WebAssembly)) {
    const blob = runtime.run(COPY, { files: { 'in.mp4': new Blob([video]) }, worker: false });
    await assert.rejects(blob, isError(UnsupportedError, 'cannot-wait'));
  }
});

test('probe and frames', async () => {
  const { format, streams, chapters } = await runtime.probe(video);
  assert.ok(Math.abs(format.duration - 5.312) < 0.01 && format.size === video.byteLength);
  const [picture] = streams;
  assert.deepEqual(
    [picture.width, picture.display_height, picture.avg_frame_rate.value, picture.nb_frames],
    [1280, 720, 25, 132],
  );
  assert.deepEqual(chapters, []);
  const shown = (frames) => frames.map(({ time, width, height }) => [time, width, height]);
  assert.deepEqual(shown(await runtime.frames(path(VIDEO), { at: [0, 5.3], height: 90 })), [
    [0, 160, 90],
    [5.3, 160, 90],
  ]);
  const every = await runtime.frames(path(VIDEO), { every: 2, width: 64, format: 'rgba' });
  assert.deepEqual(shown(every), [
    [0, 64, 36],
    [2, 64, 36],
    [4, 64, 36],
  ]);
  assert.equal(every[1].image.byteLength, 64 * 36 * 4);
  assert.deepEqual(shown(await runtime.frames(path(VIDEO), { sheet: { columns: 2, rows: 3 }, format: 'jpeg' })), [
    [0.44, 640, 540],
  ]);
  await assert.rejects(runtime.frames(path(VIDEO), { at: [100] }), (error) => error.code === 'no-frame');
  await assert.rejects(
    runtime.frames(path(VIDEO), { at: [0, 1, 2, 3], timeout: 30 }),
    isError(TimeoutError, 'timeout'),
  );
  await assert.rejects(runtime.frames(path(VIDEO), { every: 0 }), isError(UsageError, 'bad-frames'));
  await assert.rejects(runtime.probe(new Uint8Array(100)), isError(ProgramError, 'program'));
});

test('progress and log come while a job runs', async () => {
  const reports = [];
  const lines = [];
  const line = words('ffmpeg -i in.mp4 -t 3 -vf scale=320:-2 -c:a aac out.mp4');
  const onProgress = (report) => reports.push(report);
  (
    await runtime.run(line, { files: { 'in.mp4': video }, onProgress, onLog: (line) => lines.push(line) })
  ).expectSuccess();
  assert.ok(reports.length > 1);
  for (const { frame, fps, time, speed = 0, size = 0, fraction = 0 } of reports) {
    assert.ok([frame, fps, time, speed, size, fraction].every((value) => value >= 0) && fraction <= 1);
  }
  const { frame, finished, fraction } = reports.at(-1);
  assert.deepEqual([frame, finished, fraction], [75, true, 1]);
  assert.ok(lines.some((line) => line.startsWith('Input #0')));
});

test('text is drawn with fonts that are given', async () => {
  // A square of its whole height is the font's only glyph, and the module's own font has none for it.
  const square = readFileSync(join(process.cwd(), 'square.ttf'));
  const drawn = 'drawtext=text=中:fontsize=60:fontcolor=white';
  const line = words(`ffmpeg -v warning -f lavfi -i color=black:s=320x180:d=0.04 -vf ${drawn}`);
  line.push(...words('-frames:v 1 -f rawvideo -pix_fmt gray pipe:1'));
  const lit = async (fonts) => {
    const { stdout, stderr } = (await runtime.run(line, { fonts })).expectSuccess();
    assert.equal(stdout.byteLength, 320 * 180);
    const text = String(stderr);
    return [stdout.filter((value) => value > 100).length, text.includes('U+4E2D')];
  };
  const [given, isMissed] = await lit({ 'of/mine/square.ttf': square });
  assert.ok(given >= 3500 && !isMissed, `${given} pixels are lit`);
  const [own, isMissedThen] = await lit({ 'none.ttf': new Uint8Array(10) });
  assert.ok(own < 3000 && isMissedThen, `${own} pixels are lit without the font`);
});
