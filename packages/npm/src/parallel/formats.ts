// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// The formats of outputs and of segments. It is what runtime/src/parallel/formats.rs is in Rust.

/** Endings, or names of formats, of outputs that take frames at their own times. */
export const MP4 = ['mp4', 'm4v', 'mov'];
export const MATROSKA = ['mkv', 'matroska'];
export const WEBM = ['webm'];
export const MPEGTS = ['ts', 'mpegts'];
export const HLS = ['m3u8', 'hls'];
export const DASH = ['mpd', 'dash'];

/** The format of segments. */
export function ofSegments(encoder: string): string {
  return encoder.startsWith('prores') ? 'mov' : 'mp4';
}
