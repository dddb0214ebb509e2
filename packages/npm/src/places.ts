// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

/** The places of jobs that run at once. Others wait in line. */
export class Places {
  private readonly waiting: (() => void)[] = [];
  private taken = 0;

  constructor(private readonly count: number) {}

  /** Takes a place, when there is one. Gives what frees it. */
  async take(signal: AbortSignal | undefined): Promise<() => void> {
    signal?.throwIfAborted();
    if (this.taken < this.count) this.taken++;
    else await this.wait(signal);
    let isFree = false;
    return () => {
      if (isFree) return;
      isFree = true;
      const next = this.waiting.shift();
      if (next) next();
      else this.taken--;
    };
  }

  private wait(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.waiting.splice(this.waiting.indexOf(enter), 1);
        reject(signal?.reason);
      };
      const enter = () => {
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      signal?.addEventListener('abort', leave);
      this.waiting.push(enter);
    });
  }
}
