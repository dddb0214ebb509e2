// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// One job on all cores, in node. AFMPEG_COMMAND names the command `afmpeg`, if its outputs are to be compared with.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import {
  AbortedError,
  folder,
  LimitError,
  ParallelError,
  path,
  ProgramError,
  Runtime,
  TimeoutError,
  UsageError,
} from 'afmpeg';

const scratch = mkdtempSync(join(tmpdir(), 'afmpeg-'));
after(() => rmSync(scratch, { recursive: true }));
const runtime = await Runtime.load();
const words = (line) => line.split(' ');
const isError = (Kind, code) => (error) => error instanceof Kind && error.code === code;

const SECONDS = 14;
const RATE = 25;
const make =
  `ffmpeg -v error -f lavfi -i testsrc2=d=${SECONDS}:s=160x90:r=${RATE} -f lavfi -i sine=d=${SECONDS} ` +
  '-c:v libopenh264 -g 50 -c:a aac -bitexact in.mkv';
const input = (await runtime.run(words(make))).expectSuccess().files['in.mkv'];
const copy = words('ffmpeg -v error -i in.mkv -map 0:v -c copy -bitexact mute.mkv');
const { files: muted } = (await runtime.run(copy, { files: { 'in.mkv': input } })).expectSuccess();
const files = { 'in.mkv': input, ...muted };
const PLAIN = words('ffmpeg -v error -i in.mkv -vf hflip -c:v mpeg4 -q:v 4 -c:a copy out.mp4');
const plain = (await runtime.run(PLAIN, { files, parallel: 2 })).expectSuccess().files['out.mp4'];

/** Commands, and how many segments and frames they make. */
const COMMANDS = [
  ['-i in.mkv -vf scale=80:-2,drawtext=text=%{pts}:fontsize=20 -c:v mpeg4 -q:v 3 -movflags +faststart out.mp4', 3],
  ['-i in.mkv -c:v libopenh264 -b:v 200k -c:a copy -map 0:a -map 0:v out.mov', 3],
  ['-i in.mkv -c:v ffv1 -level 3 -bitexact -metadata title=x out.mkv', 3],
  ['-i in.mkv -c:v mjpeg -q:v 5 -pix_fmt yuvj420p -an out.mov', 3],
  ['-ss 3.3 -t 9 -i in.mkv -c:v mpeg4 -q:v 4 -c:a aac out.mp4', 2, 9 * RATE],
  ['-i in.mkv -filter_complex [0:v]yadif=1[v] -map [v] -map 0:a -c:v mpeg4 -q:v 4 -c:a copy out.mp4', 3, 28 * RATE],
  ['-to 12 -i mute.mkv -vf hqdn3d,fps=10 -c:v mpeg4 -q:v 4 out.mp4', 3, 12 * 10],
  ['-i in.mkv -c:v libopenh264 -b:v 200k -c:a aac out.ts', 3],
  ['-i mute.mkv -c:v libvpx-vp9 -b:v 100k -deadline good -cpu-used 5 -bitexact out.webm', 3],
  ['-i mute.mkv -c:v libopenh264 -b:v 200k -g 50 -hls_time 4 -hls_list_size 0 out.m3u8', 3],
  ['-i mute.mkv -r 25 -c:v mpeg4 -q:v 4 -g 50 -seg_duration 4 out.mpd', 3],
];
const { stdout: help } = await runtime.run(words('ffmpeg -v error -h encoder=libx264'));
const hasX264 = Buffer.from(help).includes('Encoder libx264');
if (hasX264) COMMANDS.push(['-i in.mkv -c:v libx264 -b:v 100k -maxrate 200k -bufsize 400k -preset fast out.mp4', 3]);

/** Checks that files are those that others are. */
function assertSame(made, others, text) {
  assert.deepEqual(Object.keys(made).sort(), Object.keys(others).sort(), text);
  for (const name of Object.keys(made)) assert.ok(Buffer.from(made[name]).equals(others[name]), `${text}: ${name}`);
}

test('the output is the same bytes on any number of cores, and those of the command', async () => {
  const { AFMPEG_COMMAND: command } = process.env;
  for (const [name, data] of Object.entries(files)) writeFileSync(join(scratch, name), data);
  const { variant } = JSON.parse(readFileSync('tests/variant.json', 'utf8'));
  const module = createRequire(join(process.cwd(), 'here')).resolve(`@afmpeg/${variant}/module.wasm`);
  for (const [line, segments, frames = SECONDS * RATE] of COMMANDS) {
    const args = ['-v', 'error', ...words(line)];
    const name = args.at(-1);
    const made = [];
    for (const parallel of [1, 2, 3]) {
      const output = (await runtime.run(['ffmpeg', ...args], { files, parallel })).expectSuccess();
      assert.deepEqual([output.whole, output.segments], [undefined, segments], line);
      made.push(output.files);
    }
    assertSame(made[1], made[0], line);
    assertSame(made[2], made[0], line);
    assert.equal(Object.keys(made[0]).length > 1, /m3u8$|mpd$/.test(name), line);
    const { streams } = await runtime.probe(name, { files: made[0] });
    const video = streams.find(({ codec_type }) => codec_type === 'video');
    if (video.nb_frames !== undefined) assert.equal(video.nb_frames, frames, line);
    if (command === undefined) continue;
    execFileSync(command, ['--module', module, '--parallel=2', 'ffmpeg', '-y', ...args], { cwd: scratch });
    const written = readdirSync(scratch).filter((name) => !Object.hasOwn(files, name));
    const others = Object.fromEntries(written.map((name) => [name, readFileSync(join(scratch, name))]));
    assertSame(others, made[0], `${line}, by the command`);
    for (const name of written) rmSync(join(scratch, name));
  }
});

test('an encoder of H.264 has to be named, unless the module has the usual one', async () => {
  const unnamed = await runtime.run(words('ffmpeg -v error -i in.mkv out.mp4'), { files, parallel: 2 });
  if (hasX264) assert.deepEqual([unnamed.exitCode, unnamed.whole, unnamed.segments], [0, undefined, 3]);
  else assert.match(unnamed.whole, /^without libx264/);
});

test('a playlist lies in a folder, whole when it has its name', async () => {
  const place = join(scratch, 'playlist');
  mkdirSync(place);
  const there = folder(place, { write: true });
  const line = 'ffmpeg -v error -i mute.mkv -c:v mpeg4 -q:v 4 -seg_duration 4 there/out.mpd';
  const given = { ...files, there };
  const limited = runtime.run(words(line), { files: given, parallel: 2, writtenMaxBytes: 10_000 });
  await assert.rejects(limited, isError(LimitError, 'limit'));
  assert.deepEqual(readdirSync(place).filter((name) => name.endsWith('.mpd')), []);
  const output = (await runtime.run(words(line), { files: given, parallel: 2 })).expectSuccess();
  assert.deepEqual([output.whole, output.segments, output.files], [undefined, 3, {}]);
  const names = readdirSync(place);
  assert.deepEqual(names.filter((name) => name.endsWith('.mpd')), ['out.mpd']);
  assert.ok(names.filter((name) => name.endsWith('.m4s')).length > 3, names.join());
  // A file alone has no place for the others.
  const alone = { ...files, 'out.mpd': path(join(place, 'alone.mpd'), { write: true }) };
  const single = runtime.run([...words(line).slice(0, -1), 'out.mpd'], { files: alone, parallel: 'require' });
  await assert.rejects(single, (error) => /several files/.test(error.reason));
});

test('what cannot be cut is one job, and says why', async () => {
  const copy = words('ffmpeg -v error -i in.mkv -c copy out.mkv');
  const output = (await runtime.run(copy, { files, parallel: 2 })).expectSuccess();
  assert.deepEqual([output.segments, output.whole, Object.keys(output.files)], [1, 'the video is copied', ['out.mkv']]);
  const error = await runtime.run(copy, { files, parallel: 'require' }).catch((error) => error);
  assert.ok(isError(ParallelError, 'not-cut')(error), String(error));
  assert.equal(error.reason, output.whole);
  const here = await runtime.run(PLAIN, { files, parallel: true, worker: false });
  assert.match(here.expectSuccess().whole, /workers/);
  // FFmpeg itself says what is wrong with an input.
  const none = await runtime.run(words('ffmpeg -v error -i none.mkv out.mp4'), { parallel: true });
  assert.deepEqual([none.exitCode === 0, /No such file/.test(none.whole)], [false, true]);
  for (const parallel of [0, 1.5, 'never', -1]) {
    await assert.rejects(runtime.run(PLAIN, { files, parallel }), isError(UsageError, 'bad-parallel'));
  }
  const probe = runtime.run(words('ffprobe in.mkv'), { files, parallel: true });
  await assert.rejects(probe, isError(UsageError, 'bad-parallel'));
});

test('progress is one, in order', async () => {
  const reports = [];
  (await runtime.run(PLAIN, { files, parallel: 2, onProgress: (report) => reports.push(report) })).expectSuccess();
  assert.ok(reports.length > 2);
  for (const [at, { frame, fps, time, speed, fraction, finished }] of reports.entries()) {
    const before = reports[at - 1] ?? { frame: 0, time: 0, fraction: 0 };
    assert.ok(frame >= before.frame && time >= before.time && fraction >= before.fraction && fraction <= 1);
    assert.ok(fps >= 0 && speed >= 0);
    assert.equal(finished, at === reports.length - 1);
  }
  const { frame, fraction } = reports.at(-1);
  assert.deepEqual([frame, fraction], [SECONDS * RATE, 1]);
  const failing = () => {
    throw new Error('the bar is gone');
  };
  await assert.rejects(runtime.run(PLAIN, { files, parallel: 2, onProgress: failing }), /the bar is gone/);
});

test('paths and folders get what is whole, and nothing else', async () => {
  const place = join(scratch, 'out');
  mkdirSync(place);
  const named = { ...files, 'out.mp4': path(join(place, 'a.mp4'), { write: true }) };
  const below = { ...files, there: folder(place, { write: true }) };
  const intoFolder = [...PLAIN.slice(0, -1), 'there/b.mp4'];
  for (const [args, given] of [
    [PLAIN, named],
    [intoFolder, below],
  ]) {
    const output = (await runtime.run(args, { files: given, parallel: 2 })).expectSuccess();
    assert.deepEqual([output.whole, output.files], [undefined, {}]);
  }
  const isWhole = (name) => readFileSync(join(place, name)).equals(plain);
  assert.ok(isWhole('a.mp4') && isWhole('b.mp4'));
  // What is there stays, unless it may be overwritten, and is then replaced when the new one is whole.
  const refused = await runtime.run(intoFolder, { files: below, parallel: true });
  assert.equal(refused.whole, 'the output exists, and -y is not given');
  assert.match(refused.stderr, /already exists/);
  const again = ['ffmpeg', '-y', ...intoFolder.slice(1)];
  const limited = runtime.run(again, { files: below, parallel: 2, writtenMaxBytes: 1000 });
  await assert.rejects(limited, isError(LimitError, 'limit'));
  assert.ok(isWhole('b.mp4'));
  (await runtime.run(again, { files: below, parallel: 'require' })).expectSuccess();
  const link = join(scratch, 'link.mp4');
  symlinkSync(join(place, 'a.mp4'), link);
  const linked = { ...files, 'out.mp4': path(link, { write: true }) };
  const through = await runtime.run(['ffmpeg', '-y', ...PLAIN.slice(1)], { files: linked, parallel: 'require' });
  assert.equal(through.expectSuccess().segments, 3);
  // What lies under the name for what is not whole may be somebody's.
  writeFileSync(join(place, 'b.partial.mp4'), 'mine');
  const left = runtime.run(again, { files: below, parallel: 'require' });
  await assert.rejects(left, (error) => error.reason === 'there/b.partial.mp4 is there already');
  assert.deepEqual(readdirSync(place).sort(), ['a.mp4', 'b.mp4', 'b.partial.mp4']);
  assert.equal(readFileSync(join(place, 'b.partial.mp4'), 'utf8'), 'mine');
});

test('a stop, a timeout and each limit end all of it, and leave nothing', async () => {
  const place = join(scratch, 'stopped');
  mkdirSync(place);
  const slow = words('ffmpeg -v error -i in.mkv -vf scale=1920:-2 -c:v mpeg4 -q:v 2 there/out.mp4');
  const given = { ...files, there: folder(place, { write: true }) };
  const run = (options) => runtime.run(slow, { files: given, parallel: 2, ...options });
  const times = [];
  for (let count = 0; count < 8; count++) {
    const controller = new AbortController();
    let aborted = 0;
    const abort = () => {
      aborted = performance.now();
      controller.abort(count);
    };
    // While it is planned, and while segments are made.
    if (count < 4) setTimeout(abort, count * 100);
    const onProgress = () => count >= 4 && !controller.signal.aborted && abort();
    const error = await run({ signal: controller.signal, onProgress }).catch((error) => error);
    times.push(performance.now() - aborted);
    assert.ok(isError(AbortedError, 'aborted')(error), String(error));
    assert.equal(error.cause, count);
    assert.deepEqual(readdirSync(place), []);
  }
  const [median] = times.sort((one, other) => one - other).slice(times.length / 2);
  assert.ok(median < 200, `it took ${median} ms to stop`);
  await assert.rejects(run({ timeout: 700 }), isError(TimeoutError, 'timeout'));
  for (const [limit, bytes] of [
    ['memoryMaxBytes', 4e7],
    ['writtenMaxBytes', 1e5],
    ['filesMaxBytes', 1e5],
  ]) {
    const error = await run({ [limit]: bytes }).catch((error) => error);
    assert.ok(isError(LimitError, 'limit')(error) && error.limit === limit, `${limit}: ${error.stack}`);
    assert.deepEqual(readdirSync(place), []);
  }
  (await runtime.run(PLAIN, { files, parallel: 1 })).expectSuccess();
});

/** The input for jobs one after the other: what `isSpoiled` says of the count of those before is no media. */
function spoiled(isSpoiled) {
  let jobs = 0;
  const read = (offset, length) => {
    const part = input.slice(offset, offset + length);
    return offset === 0 && isSpoiled(jobs++) ? part.fill(0) : part;
  };
  return { 'in.mkv': { size: input.byteLength, read } };
}

test('a segment that fails is made once more, and then fails the whole with its own words', async () => {
  // Two jobs look at the input before; with one worker the third makes the first segment.
  let opened = 0;
  const count = spoiled(() => ++opened < 0);
  (await runtime.run(PLAIN, { files: count, parallel: 1 })).expectSuccess();
  assert.equal(opened, 2 + 3 + 1, 'each job reads the beginning once');
  const once = await runtime.run(PLAIN, { files: spoiled((jobs) => jobs === 2), parallel: 1 });
  assert.ok(Buffer.from(once.expectSuccess().files['out.mp4']).equals(plain));
  const twice = runtime.run(PLAIN, { files: spoiled((jobs) => jobs >= 2), parallel: 1 });
  await assert.rejects(twice, (error) => isError(ProgramError, 'program')(error) && /Invalid data/.test(error.message));
});

test('one job at a time is enough', async () => {
  const narrow = await Runtime.load(runtime.module, { jobsMax: 1 });
  const both = await Promise.all([1, 2].map(() => narrow.run(PLAIN, { files, parallel: 4 })));
  for (const output of both) assert.ok(Buffer.from(output.expectSuccess().files['out.mp4']).equals(plain));
  narrow.close();
});
