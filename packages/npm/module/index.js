// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Where the module lies, for `Runtime.load` of afmpeg. Bundlers take the files along by these addresses.

/** Vite moves scripts while a program is developed, and leaves other files where they are. */
const unmoved = ({ href }) => href.replace(/\/\.vite\/deps\w*\//, '/@NAME@/');

export default {
  format: 1,
  variant: '@VARIANT@',
  version: '@VERSION@',
  ffmpegVersion: '@FFMPEG@',
  url: unmoved(new URL('./module.wasm', import.meta.url)),
  gzipUrl: unmoved(new URL('./module.wasm.gz', import.meta.url)),
  engineFeatures: [@FEATURES@],
};
