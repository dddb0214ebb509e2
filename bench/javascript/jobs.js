// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// The command lines that are measured, the same for each runner.
const words = (line) => line.split(' ');

export const TRANSCODE = words('-v error -i in.mp4 -vf scale=640:-2 -c:v libx264 -preset veryfast -c:a aac out.mp4');
export const REMUX = words('-v error -i in.mp4 -c copy out.mkv');
/** @ffmpeg/core's ffprobe writes what it says to a file. */
export const PROBE = words('-v error -show_format -show_streams -of json -o said.json in.mp4');
