// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

import type { Progress } from '../progress.ts';

/** The progress of all segments as one. */
export class Reports {
  private readonly frames: number[] = [];
  /** What was told last: a segment that is made once more does not lead back. */
  private frame = 0;
  private readonly started = performance.now();

  constructor(
    private readonly report: (progress: Progress) => void,
    /** How many frames the input has, and how long they are. */
    private readonly wanted: { frames: number; seconds: number },
  ) {}

  ofSegment(index: number, { frame }: Progress): void {
    this.frames[index] = frame;
    const sum = this.frames.reduce((sum, frames) => sum + frames, 0);
    this.frame = Math.max(this.frame, sum);
    this.tell(Math.min(1, this.frame / this.wanted.frames), false);
  }

  finish(frameCount: number): void {
    this.frame = frameCount;
    this.tell(1, true);
  }

  private tell(fraction: number, finished: boolean): void {
    const elapsed = Math.max(0.001, (performance.now() - this.started) / 1000);
    const time = fraction * this.wanted.seconds;
    const { frame } = this;
    this.report({ frame, fps: frame / elapsed, time, speed: time / elapsed, size: undefined, fraction, finished });
  }
}
