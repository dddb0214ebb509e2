// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// The numbers of WASI preview 1: error codes, flags and the sizes of its structures.

/** A failed call, by the number that the guest's C library reads. */
export class Errno extends Error {
  static readonly SUCCESS = 0;
  static readonly ACCES = 2;
  static readonly BADF = 8;
  static readonly DQUOT = 19;
  static readonly EXIST = 20;
  static readonly FAULT = 21;
  static readonly FBIG = 22;
  static readonly ILSEQ = 25;
  static readonly INVAL = 28;
  static readonly IO = 29;
  static readonly ISDIR = 31;
  static readonly LOOP = 32;
  static readonly MFILE = 33;
  static readonly NAMETOOLONG = 37;
  static readonly NOENT = 44;
  static readonly NOSPC = 51;
  static readonly NOSYS = 52;
  static readonly NOTDIR = 54;
  static readonly NOTEMPTY = 55;
  static readonly NOTSUP = 58;
  static readonly PERM = 63;
  static readonly ROFS = 69;
  static readonly SPIPE = 70;
  static readonly XDEV = 75;

  constructor(readonly errno: number) {
    super(`WASI error ${errno}`);
  }
}

export const FileType = { UNKNOWN: 0, CHARACTER_DEVICE: 2, DIRECTORY: 3, REGULAR_FILE: 4 } as const;
export type FileType = (typeof FileType)[keyof typeof FileType];

export const OpenFlags = { CREATE: 1, DIRECTORY: 2, EXCLUSIVE: 4, TRUNCATE: 8, ALL: 15 } as const;
export const FdFlags = { APPEND: 1, NONBLOCK: 4, ALL: 31 } as const;
export const Rights = { FD_READ: 1n << 1n, FD_WRITE: 1n << 6n, ALL: (1n << 30n) - 1n } as const;
export const Whence = { SET: 0, CURRENT: 1, END: 2 } as const;
export const Clock = { REALTIME: 0, MONOTONIC: 1, PROCESS_CPU_TIME: 2, THREAD_CPU_TIME: 3 } as const;
export const EventType = { CLOCK: 0, FD_READ: 1, FD_WRITE: 2 } as const;

export const SUBSCRIPTION_SIZE_BYTES = 48;
export const EVENT_SIZE_BYTES = 32;
export const PATH_SIZE_MAX_BYTES = 4096;
