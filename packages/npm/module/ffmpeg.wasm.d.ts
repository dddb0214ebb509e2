// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

export * from 'afmpeg/ffmpeg.wasm';
