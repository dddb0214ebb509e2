// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Small modules, written by hand, that call the host as no compiler would.

const I32 = 0x7f;
const I64 = 0x7e;

/** The parameters of WASI's functions: i for 32 bits, I for 64. */
const SIGNATURES = {
  args_get: 'ii',
  args_sizes_get: 'ii',
  clock_res_get: 'ii',
  clock_time_get: 'iIi',
  environ_get: 'ii',
  environ_sizes_get: 'ii',
  fd_advise: 'iIIi',
  fd_allocate: 'iII',
  fd_close: 'i',
  fd_datasync: 'i',
  fd_fdstat_get: 'ii',
  fd_fdstat_set_flags: 'ii',
  fd_fdstat_set_rights: 'iII',
  fd_filestat_get: 'ii',
  fd_filestat_set_size: 'iI',
  fd_filestat_set_times: 'iIIi',
  fd_pread: 'iiiIi',
  fd_prestat_dir_name: 'iii',
  fd_prestat_get: 'ii',
  fd_pwrite: 'iiiIi',
  fd_read: 'iiii',
  fd_readdir: 'iiiIi',
  fd_renumber: 'ii',
  fd_seek: 'iIii',
  fd_sync: 'i',
  fd_tell: 'ii',
  fd_write: 'iiii',
  path_create_directory: 'iii',
  path_filestat_get: 'iiiii',
  path_filestat_set_times: 'iiiiIIi',
  path_link: 'iiiiiii',
  path_open: 'iiiiiIIii',
  path_readlink: 'iiiiii',
  path_remove_directory: 'iii',
  path_rename: 'iiiiii',
  path_symlink: 'iiiii',
  path_unlink_file: 'iii',
  poll_oneoff: 'iiii',
  proc_exit: 'i',
  proc_raise: 'i',
  random_get: 'ii',
  sched_yield: '',
  sock_accept: 'iii',
  sock_recv: 'iiiiii',
  sock_send: 'iiiii',
  sock_shutdown: 'ii',
};

export const CALLS = Object.keys(SIGNATURES);
export const parametersOf = (name) => SIGNATURES[name];

function unsigned(value) {
  const bytes = [];
  do {
    const rest = Math.floor(value / 128);
    bytes.push((value % 128) + (rest > 0 ? 128 : 0));
    value = rest;
  } while (value > 0);
  return bytes;
}

export function signed(value) {
  const bytes = [];
  for (let left = BigInt(value); ;) {
    const byte = Number(left & 0x7fn);
    left >>= 7n;
    const isLast = (left === 0n && !(byte & 0x40)) || (left === -1n && (byte & 0x40) !== 0);
    bytes.push(isLast ? byte : byte | 0x80);
    if (isLast) return bytes;
  }
}

const vector = (items) => [...unsigned(items.length), ...items.flat()];
const section = (id, content) => [id, ...unsigned(content.length), ...content];
/** Where a program's memory has the first of those numbers. */
export const RESULTS = 65536 + 1024;

const name = (text) => vector([...new TextEncoder().encode(text)]);

/**
 * A program that makes these calls in turn, each a name and its arguments, and writes the numbers that they give to
 * standard output, two bytes each. Its memory has two pages at first, with these data at their places. Instead of a call there
 * may be bytes of code.
 */
export function program(calls, data = {}) {
  const names = [
    ...new Set([...calls.filter((call) => typeof call[0] === 'string').map(([call]) => call), 'fd_write']),
  ];
  const types = names.map((call) => [
    0x60,
    ...vector([...SIGNATURES[call]].map((kind) => [kind === 'i' ? I32 : I64])),
    ...(call === 'proc_exit' ? [0] : [1, I32]),
  ]);
  types.push([0x60, 0, 0]);
  const imports = names.map((call, index) => [...name('wasi_snapshot_preview1'), ...name(call), 0, ...unsigned(index)]);
  const constant = (kind, value) => {
    const bits = kind === 'i' ? 32 : 64;
    return [kind === 'i' ? 0x41 : 0x42, ...signed(BigInt.asIntN(bits, BigInt(value)))];
  };
  const made = (call, args) => [
    ...[...SIGNATURES[call]].flatMap((kind, index) => constant(kind, args[index])),
    0x10,
    ...unsigned(names.indexOf(call)),
  ];
  let results = 0;
  const code = calls.flatMap(([call, ...args]) => {
    if (typeof call === 'number') return [call, ...args];
    if (call === 'proc_exit') return made(call, args);
    // i32.store16
    return [...constant('i', RESULTS + 2 * results++), ...made(call, args), 0x3b, 1, 0];
  });
  const IOVEC = 65536;
  const store = (at, value) => [...constant('i', at), ...constant('i', value), 0x36, 2, 0];
  code.push(
    ...store(IOVEC, RESULTS),
    ...store(IOVEC + 4, 2 * results),
    ...made('fd_write', [1, IOVEC, 1, IOVEC + 8]),
    0x1a,
  );
  const body = [0, ...code, 0x0b];
  const segments = Object.entries(data).map(([at, bytes]) => [0, ...constant('i', at), 0x0b, ...vector([...bytes])]);
  return Uint8Array.from([
    ...[0, 97, 115, 109, 1, 0, 0, 0],
    ...section(1, vector(types)),
    ...section(2, vector(imports)),
    ...section(3, vector([unsigned(names.length)])),
    ...section(5, [1, 1, 2, ...unsigned(65536)]),
    ...section(
      7,
      vector([
        [...name('memory'), 2, 0],
        [...name('_start'), 0, ...unsigned(names.length)],
      ]),
    ),
    ...section(10, vector([[...unsigned(body.length), ...body]])),
    ...section(11, vector(segments)),
  ]);
}

/** What a program's calls gave. */
export function results(stdout) {
  const view = new DataView(stdout.buffer, stdout.byteOffset, stdout.byteLength);
  return Array.from({ length: stdout.byteLength / 2 }, (_, index) => view.getUint16(2 * index, true));
}
