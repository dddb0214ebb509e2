// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

/** The script of a worker as a text, put in by build.js. */
declare module '#worker-source' {
  const source: string;
  export default source;
}
