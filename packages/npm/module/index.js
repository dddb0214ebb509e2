// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Where the module lies, for `Runtime.load` of afmpeg. Bundlers take the files along by these addresses.
export default {
  format: 1,
  variant: '@VARIANT@',
  version: '@VERSION@',
  ffmpegVersion: '@FFMPEG@',
  url: new URL('./module.wasm', import.meta.url).href,
  gzipUrl: new URL('./module.wasm.gz', import.meta.url).href,
  engineFeatures: [@FEATURES@],
};
