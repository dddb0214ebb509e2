// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Programs that do what no compiler would make of a program: each call gives an error, and nothing else happens.
import assert from 'node:assert/strict';
import fs, { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import paths, { join } from 'node:path';
import { after, test } from 'node:test';

import {
  AbortedError,
  folder,
  LimitError,
  Runtime,
  TimeoutError,
  TrapError,
  UnsupportedError,
  UsageError,
} from 'afmpeg';

import { CALLS, parametersOf, program, RESULTS, results, signed } from './guest.js';

const ERRNO = {
  ACCES: 2,
  BADF: 8,
  FAULT: 21,
  INVAL: 28,
  LOOP: 32,
  NAMETOOLONG: 37,
  NOENT: 44,
  NOTDIR: 54,
  NOTSUP: 58,
  PERM: 63,
  ROFS: 69,
};
const scratch = mkdtempSync(join(tmpdir(), 'afmpeg-'));
after(() => rmSync(scratch, { recursive: true }));

async function run(calls, data, options = {}) {
  const runtime = await Runtime.load(program(calls, data));
  try {
    return results((await runtime.run(['ffmpeg'], options)).stdout);
  } finally {
    runtime.close();
  }
}

const text = (value) => new TextEncoder().encode(value);
const FIRST_FOLDER = 3;
const RIGHTS = { READ: 1n << 1n, WRITE: 1n << 6n };
const CREATE = 1;
const open = (length, { flags = 0, rights = RIGHTS.READ, at = 0 } = {}) => [
  'path_open',
  FIRST_FOLDER,
  0,
  at,
  length,
  flags,
  rights,
  0n,
  0,
  512,
];

test('pointers and numbers of every kind, to every call', async () => {
  const VALUES = [0, 1, 3, 4, 0x1fff0, 0x20000, 0x7fff_ffff, 0x8000_0000, 0xffff_fff8, 0xffff_ffff];
  const LARGE = [0n, 1n, 1n << 31n, 1n << 53n, (1n << 63n) - 1n, 1n << 63n, (1n << 64n) - 1n];
  let seed = 1;
  const pick = (values) => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return values[(seed >>> 8) % values.length];
  };
  const calls = [];
  for (let index = 0; index < 4000; index++) {
    const name = pick(CALLS.filter((name) => name !== 'proc_exit'));
    const args = [...parametersOf(name)].map((kind) => pick(kind === 'i' ? VALUES : LARGE));
    // The stream that says what came of it stays, and nobody waits for long.
    if (['fd_close', 'fd_renumber'].includes(name) && args.includes(1)) continue;
    if (['fd_write', 'poll_oneoff'].includes(name)) args[0] = pick([2, 9, 0x1fff0, 0xffff_fff8]);
    // Nor is the memory with the results to be overwritten.
    if (name === 'random_get' && args[1] === 0x1fff0) continue;
    calls.push([name, ...args]);
  }
  const codes = await run(calls, {}, { files: { 'in/file': text('content') } });
  assert.equal(codes.length, calls.length);
  assert.ok(
    codes.every((code) => code <= 76),
    String(Math.max(...codes)),
  );
  assert.ok(codes.includes(ERRNO.FAULT) && codes.includes(ERRNO.BADF) && codes.includes(0));
});

test('buffers that are too many, too large or outside', async () => {
  const one = Uint8Array.from([0, 0, 0, 0, 255, 255, 255, 255]);
  const codes = await run(
    [
      ['fd_write', 2, 0, 1, 8],
      ['fd_write', 2, 0, 0xffff_ffff, 8],
      ['fd_write', 2, 0xffff_fffc, 1, 8],
      ['fd_write', 2, 16, 1, 0xffff_ffff],
      ['random_get', 0, 0xffff_ffff],
      ['random_get', 0x1ffff, 2],
      ['args_get', 0xffff_fff0, 0],
      ['fd_readdir', FIRST_FOLDER, 0, 0xffff_ffff, 0n, 8],
    ],
    { 0: one },
  );
  assert.deepEqual(codes, [
    ERRNO.FAULT,
    ERRNO.INVAL,
    ERRNO.FAULT,
    ERRNO.FAULT,
    ERRNO.FAULT,
    ERRNO.FAULT,
    ERRNO.FAULT,
    ERRNO.FAULT,
  ]);
});

test('paths that lead out', async () => {
  const paths = ['..', '../x', 'a/../../x', '/etc/passwd', 'a\0b', ''];
  const data = Object.fromEntries(paths.map((path, index) => [64 * index, text(path)]));
  const calls = paths.map((path, index) => open(path.length, { at: 64 * index }));
  const codes = await run([...calls, open(5000), open(0xffff_ffff)], { ...data, 1000: Uint8Array.of(255, 254) });
  assert.deepEqual(codes, [
    ...[ERRNO.PERM, ERRNO.PERM, ERRNO.PERM, ERRNO.PERM, ERRNO.INVAL, ERRNO.NOENT],
    ...[ERRNO.NAMETOOLONG, ERRNO.FAULT],
  ]);
});

test('a folder of the machine: links, what lies outside, and a folder that is only read', async () => {
  const inside = join(scratch, 'inside');
  mkdirSync(join(inside, 'sub'), { recursive: true });
  writeFileSync(join(scratch, 'secret'), 'secret');
  writeFileSync(join(inside, 'file'), 'content');
  symlinkSync(join(scratch, 'secret'), join(inside, 'link'));
  symlinkSync(scratch, join(inside, 'way'));
  const paths = ['m/link', 'm/way/secret', 'm/sub/../../../secret', 'm/file', 'm/new', 'm/none', 'm/sub'];
  const data = Object.fromEntries(paths.map((path, index) => [64 * index, text(path)]));
  const at = (path, options) => open(path.length, { ...options, at: 64 * paths.indexOf(path) });
  const writing = { rights: RIGHTS.READ | RIGHTS.WRITE };
  const calls = [
    at('m/link'),
    at('m/way/secret'),
    at('m/sub/../../../secret'),
    at('m/file'),
    at('m/file', writing),
    at('m/new', { ...writing, flags: CREATE }),
    at('m/none'),
    ['path_unlink_file', FIRST_FOLDER, 64 * paths.indexOf('m/file'), 6],
    ['path_rename', FIRST_FOLDER, 64 * paths.indexOf('m/file'), 6, FIRST_FOLDER, 64 * paths.indexOf('m/new'), 5],
    ['path_remove_directory', FIRST_FOLDER, 64 * paths.indexOf('m/sub'), 5],
    ['path_symlink', 0, 4, FIRST_FOLDER, 0, 4],
  ];
  const wanted = [ERRNO.LOOP, ERRNO.LOOP, ERRNO.PERM, 0, ERRNO.ROFS, ERRNO.PERM, ERRNO.NOENT];
  const readOnly = await run(calls, data, { files: { m: folder(inside) } });
  assert.deepEqual(readOnly, [...wanted, ERRNO.ROFS, ERRNO.ROFS, ERRNO.ROFS, ERRNO.NOTSUP]);
  assert.deepEqual(readdirSync(inside).sort(), ['file', 'link', 'sub', 'way']);
  const writable = await run(calls, data, { files: { m: folder(inside, { write: true }) } });
  assert.deepEqual(writable, [
    ERRNO.LOOP,
    ERRNO.LOOP,
    ERRNO.PERM,
    0,
    0,
    0,
    ERRNO.NOENT,
    0,
    ERRNO.NOENT,
    0,
    ERRNO.NOTSUP,
  ]);
  assert.equal(readFileSync(join(scratch, 'secret'), 'utf8'), 'secret');
});

test('names that the system has no place for', async () => {
  const inside = join(scratch, 'names');
  mkdirSync(inside);
  writeFileSync(join(inside, 'file'), 'content');
  const [long, below] = [`m/${'a'.repeat(300)}`, 'm/file/x'];
  const unlink = (at, path) => ['path_unlink_file', FIRST_FOLDER, at, path.length];
  const calls = [open(long.length, { at: 1024 }), open(below.length), unlink(1024, long), unlink(0, below)];
  const files = { m: folder(inside, { write: true }) };
  const codes = await run(calls, { 0: text(below), 1024: text(long) }, { files });
  assert.deepEqual(codes, [ERRNO.NAMETOOLONG, ERRNO.NOTDIR, ERRNO.NAMETOOLONG, ERRNO.NOTDIR]);
});

/** Has the scratch folder be the drive C: of a Windows, as a library in this thread sees it, while `act` runs. */
async function onWindows(act) {
  const { lstatSync, openSync, realpathSync, statSync, unlinkSync } = fs;
  const known = { lstatSync, openSync, statSync, unlinkSync };
  const { join, sep } = paths;
  const place = (path) => (String(path).startsWith('C:\\') ? join(scratch, ...path.slice(3).split('\\')) : path);
  for (const [name, call] of Object.entries(known)) fs[name] = (path, ...more) => call(place(path), ...more);
  fs.realpathSync = (path) => (realpathSync(place(path)) === place(path) ? path : 'C:\\another');
  Object.assign(paths, { join: paths.win32.join, sep: paths.win32.sep });
  syncBuiltinESMExports();
  try {
    return await act();
  } finally {
    Object.assign(fs, known, { realpathSync });
    Object.assign(paths, { join, sep });
    syncBuiltinESMExports();
  }
}

test('on Windows a backslash or a colon in a name leads nowhere else', async () => {
  mkdirSync(join(scratch, 'media'));
  writeFileSync(join(scratch, 'media/file'), 'content');
  writeFileSync(join(scratch, 'outside'), 'secret');
  const tried = ['m/file', 'm/..\\outside', 'm/x\\..\\..\\outside', 'm/file:stream', 'm/C:file'];
  const calls = tried.map((path, index) => open(path.length, { at: 64 * index }));
  calls.push(['path_unlink_file', FIRST_FOLDER, 64, tried[1].length]);
  const data = Object.fromEntries(tried.map((path, index) => [64 * index, text(path)]));
  const runtime = await Runtime.load(program(calls, data));
  const files = { m: folder('C:\\media', { write: true }) };
  const { stdout } = await onWindows(() => runtime.run(['ffmpeg'], { files, worker: false }));
  runtime.close();
  assert.deepEqual(results(stdout), [0, ...Array(5).fill(ERRNO.INVAL)]);
  assert.equal(readFileSync(join(scratch, 'outside'), 'utf8'), 'secret');
});

test('what is given is not changed, and holes and limits hold', async () => {
  const given = text('content');
  const write = (fd) => ['fd_write', fd, 256, 1, 264];
  const data = { 0: text('file'), 256: Uint8Array.from([0, 0, 0, 0, 4, 0, 0, 0]) };
  const opened = 5;
  const first = [open(4, { rights: RIGHTS.READ | RIGHTS.WRITE }), write(opened)];
  const files = { file: given };
  const codes = await run([...first, ['fd_seek', opened, -(1n << 62n), 1, 520]], data, { files });
  assert.deepEqual(codes, [0, 0, ERRNO.INVAL]);
  // What was not written is told of though the program itself says nothing, and ends with 0.
  const isLimit = (limit) => (error) => error instanceof LimitError && error.limit === limit;
  const hole = [...first, ['fd_seek', opened, 1n << 40n, 0, 520], write(opened)];
  await assert.rejects(run(hole, data, { files }), isLimit('filesMaxBytes'));
  const grown = [...first, ['fd_filestat_set_size', opened, 1n << 52n]];
  await assert.rejects(run(grown, data, { files }), isLimit('filesMaxBytes'));
  await assert.rejects(run(first, data, { files, writtenMaxBytes: 3 }), isLimit('writtenMaxBytes'));
  await assert.rejects(run(first, data, { files, stdoutMaxBytes: 3 }), isLimit('stdoutMaxBytes'));
  assert.deepEqual(await run(first, data, { files, stdoutMaxBytes: 4, writtenMaxBytes: 8 }), [0, 0]);
  assert.equal(new TextDecoder().decode(given), 'content');
});

test('an output that no memory holds is told of', async () => {
  const data = { 0: text('file'), 256: Uint8Array.from([0, 0, 0, 0, 4, 0, 0, 0]) };
  const calls = [
    open(4, { flags: CREATE, rights: RIGHTS.READ | RIGHTS.WRITE }),
    ['fd_seek', 5, 1n << 45n, 0, 520],
    ['fd_write', 5, 256, 1, 264],
  ];
  const job = run(calls, data, { filesMaxBytes: 2 ** 50 });
  await assert.rejects(job, (error) => error instanceof UnsupportedError && error.code === 'no-memory');
});

test('a crash and an endless recursion are told of', async () => {
  const UNREACHABLE = 0x00;
  const crash = await Runtime.load(program([[UNREACHABLE]]));
  await assert.rejects(crash.run(['ffmpeg']), (error) => error instanceof TrapError && error.function !== undefined);
  const CALL_ITSELF = [0x10, 1];
  const endless = await Runtime.load(program([CALL_ITSELF]));
  await assert.rejects(endless.run(['ffmpeg']), TrapError);
  await assert.rejects(crash.run(['ffmpeg'], { worker: false }), TrapError);
});

test('memory beyond the limit ends the job at its next call', async () => {
  // memory.grow by 4096 pages, dropped.
  const grow = [0x41, 0x80, 0x20, 0x40, 0, 0x1a];
  const runtime = await Runtime.load(program([grow, ['sched_yield']]));
  await assert.rejects(runtime.run(['ffmpeg'], { memoryMaxBytes: 1e8 }), (error) => {
    return error instanceof LimitError && error.limit === 'memoryMaxBytes' && error.allowed === 1e8;
  });
  assert.equal((await runtime.run(['ffmpeg'])).exitCode, 0);
});

test('memory that the engine keeps a program from, without a call', async () => {
  // memory.grow by 4096 pages, and what it gives as the first number.
  const grow = [0x41, ...signed(RESULTS), 0x41, ...signed(4096), 0x40, 0, 0x3b, 1, 0];
  const bytes = program([['sched_yield'], grow]);
  const grown = async (options) => {
    const runtime = await Runtime.load(bytes, options);
    const { stdout } = await runtime.run(['ffmpeg']);
    runtime.close();
    return results(stdout)[0];
  };
  const REFUSED = 0xffff;
  assert.equal(await grown({}), 2);
  assert.equal(await grown({ memoryMaxBytes: 4098 * 65536 }), 2);
  assert.equal(await grown({ memoryMaxBytes: 4098 * 65536 - 1 }), REFUSED);
  const code = (wanted) => (error) => error instanceof UsageError && error.code === wanted;
  await assert.rejects(Runtime.load(bytes, { memoryMaxBytes: 65536 }), code('bad-limit'));
  await assert.rejects(Runtime.load(bytes, { memoryMaxBytes: Number.NaN }), code('bad-limit'));
  const { module } = await Runtime.load(bytes);
  await assert.rejects(Runtime.load(module, { memoryMaxBytes: 1e9 }), code('compiled-already'));
});

test('a program that calls nothing and goes on for ever ends when it is told to', async () => {
  const LOOP = [0x03, 0x40, 0x0c, 0, 0x0b];
  const runtime = await Runtime.load(program([LOOP]));
  const before = process.cpuUsage();
  const started = performance.now();
  for (let count = 0; count < 5; count++) {
    await assert.rejects(runtime.run(['ffmpeg'], { timeout: 50 }), TimeoutError);
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 50);
    await assert.rejects(runtime.run(['ffmpeg'], { signal: controller.signal }), AbortedError);
  }
  runtime.close();
  const took = performance.now() - started;
  assert.ok(took < 5000, `ten jobs of 50 ms took ${took} ms`);
  // None of them goes on unseen.
  const { user } = process.cpuUsage(before);
  await new Promise((resolve) => setTimeout(resolve, 500));
  const more = process.cpuUsage(before).user - user;
  assert.ok(more < 400e3, `${more} µs were computed after the last job`);
});

test('more files and names than a job may have', async () => {
  const calls = Array.from({ length: 1100 }, () => open(4, { flags: CREATE, rights: RIGHTS.READ | RIGHTS.WRITE }));
  const codes = await run(calls, { 0: text('file') });
  const MFILE = 33;
  assert.equal(codes.indexOf(MFILE), 1024 - 5);
});
