// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

/** Thrown where a command is not cut; the message is the reason. */
export class Whole extends Error {
  override name = 'Whole';
}
