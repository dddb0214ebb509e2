// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

/** What `Runtime.load` of afmpeg takes: where the module lies, and what it needs. */
declare const module: {
  format: number;
  variant: string;
  version: string;
  ffmpegVersion: string;
  url: string;
  gzipUrl: string;
  engineFeatures: string[];
};
export default module;
