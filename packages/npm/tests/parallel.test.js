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
const files = { 'in.mkv': input };
const PLAIN = words('ffmpeg -v error -i in.mkv -vf hflip -c:v mpeg4 -q:v 4 -c:a copy out.mp4');
const plain = (await runtime.run(PLAIN, { files, parallel: 2 })).expectSuccess().files['out.mp4'];

const COMMANDS = [
  ['-vf scale=80:-2,drawtext=text=%{pts}:fontsize=20 -c:a aac -movflags +faststart', 'out.mp4'],
  ['-c:v libopenh264 -b:v 200k -c:a copy -map 0:a -map 0:v', 'out.mov'],
  ['-c:v ffv1 -level 3 -bitexact -metadata title=x', 'out.mkv'],
  ['-c:v mjpeg -q:v 5 -pix_fmt yuvj420p -an', 'out.mov'],
];

test('the output is the same bytes on any number of cores, and those of the command', async () => {
  const { AFMPEG_COMMAND: command } = process.env;
  writeFileSync(join(scratch, 'in.mkv'), input);
  const { variant } = JSON.parse(readFileSync('tests/variant.json', 'utf8'));
  const module = createRequire(join(process.cwd(), 'here')).resolve(`@afmpeg/${variant}/module.wasm`);
  for (const [options, name] of COMMANDS) {
    const args = ['-v', 'error', '-i', 'in.mkv', ...words(options), name];
    const made = [];
    for (const parallel of [1, 2, 3]) {
      const output = (await runtime.run(['ffmpeg', ...args], { files, parallel })).expectSuccess();
      assert.deepEqual([output.whole, output.segments, Object.keys(output.files)], [undefined, 3, [name]], options);
      made.push(Buffer.from(output.files[name]));
    }
    assert.ok(made[0].equals(made[1]) && made[0].equals(made[2]), options);
    const { streams } = await runtime.probe(name, { files: { [name]: made[0] } });
    const video = streams.find(({ codec_type }) => codec_type === 'video');
    if (video.nb_frames !== undefined) assert.equal(video.nb_frames, SECONDS * RATE, options);
    if (command === undefined) continue;
    const line = ['--module', module, '--parallel=2', 'ffmpeg', '-y', ...args];
    execFileSync(command, line, { cwd: scratch });
    assert.ok(readFileSync(join(scratch, name)).equals(made[0]), `${options}: the command made something else`);
    rmSync(join(scratch, name));
  }
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
