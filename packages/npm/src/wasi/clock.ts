// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

import { Clock as Id, Errno } from './abi.ts';

/** The guest's clocks. Where nothing can sleep, the time that was to be slept is skipped. */
export class Clock {
  private readonly started = performance.now();
  private skipped = 0;

  /** In milliseconds since the job began. */
  monotonic(): number {
    return performance.now() - this.started + this.skipped;
  }

  nanoseconds(id: number): bigint {
    switch (id) {
      case Id.REALTIME:
        return fromMilliseconds(Date.now() + this.skipped);
      case Id.MONOTONIC:
      case Id.PROCESS_CPU_TIME:
      case Id.THREAD_CPU_TIME:
        return fromMilliseconds(this.monotonic());
      default:
        throw new Errno(Errno.INVAL);
    }
  }

  /** Comes to this time at once. */
  skipTo(monotonic: number): void {
    this.skipped += Math.max(0, monotonic - this.monotonic());
  }
}

function fromMilliseconds(milliseconds: number): bigint {
  return BigInt(Math.round(milliseconds * 1000)) * 1000n;
}
