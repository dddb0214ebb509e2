// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

/** A report of ffmpeg's progress. None of its numbers is negative or NaN. */
export interface Progress {
  /** Video frames written. */
  frame: number;
  /** Frames a second. */
  fps: number;
  /** The duration of the output so far, in seconds. */
  time: number;
  /** Duration of the output per elapsed time: 2 is twice as fast as real time. */
  speed: number | undefined;
  /** The size of the output so far, in bytes. */
  size: number | undefined;
  /**
   * The completed part, from 0 to 1: of the duration that the job was told of by `durationSeconds`, otherwise of what
   * ffmpeg says of its inputs. It is missing where neither is known.
   */
  fraction: number | undefined;
  /** The report is the last one. */
  finished: boolean;
}

function number(text: string): number | undefined {
  const value = Number.parseFloat(text);
  return Number.isFinite(value) && value >= 0 ? value : undefined;
}

/** Reads ffmpeg's reports, by lines of them. */
export class ProgressReader {
  private readonly progress: Progress = {
    frame: 0,
    fps: 0,
    time: 0,
    speed: undefined,
    size: undefined,
    fraction: undefined,
    finished: false,
  };
  private inputSeconds: number | undefined;
  private isReading = true;
  private readonly stated: number | undefined;

  constructor(
    args: readonly string[],
    private readonly durationSeconds: number | undefined,
  ) {
    this.stated = longest(args);
  }

  /** Takes a line of the log: before the outputs, ffmpeg tells how long its inputs are. */
  readLog(line: string): void {
    if (/^Output #0/.test(line)) this.isReading = false;
    if (!this.isReading) return;
    const found = /^\s+Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)/.exec(line);
    if (!found) return;
    const [, hours, minutes, seconds] = found.map(Number);
    const length = (hours ?? 0) * 3600 + (minutes ?? 0) * 60 + (seconds ?? 0);
    this.inputSeconds = Math.max(this.inputSeconds ?? 0, length);
  }

  /** Takes a line of a report; gives the report with its last line. */
  readReport(line: string): Progress | undefined {
    const [key = '', value = ''] = line.split('=', 2).map((part) => part.trim());
    const { progress } = this;
    switch (key) {
      case 'frame':
        progress.frame = number(value) ?? progress.frame;
        break;
      case 'fps':
        progress.fps = number(value) ?? progress.fps;
        break;
      case 'total_size':
        progress.size = number(value) ?? progress.size;
        break;
      case 'out_time_us':
        progress.time = Math.max(progress.time, (number(value) ?? 0) / 1e6);
        break;
      case 'speed':
        progress.speed = number(value) ?? progress.speed;
        break;
      case 'progress':
        progress.finished = value === 'end';
        progress.fraction = this.fraction();
        return { ...progress };
    }
    return undefined;
  }

  private fraction(): number | undefined {
    const { time, finished } = this.progress;
    if (finished) return 1;
    const known = [this.inputSeconds, this.stated].filter((seconds) => seconds !== undefined);
    const duration = this.durationSeconds ?? (known.length > 0 ? Math.min(...known) : undefined);
    if (duration === undefined || !(duration > 0)) return undefined;
    return Math.min(1, time / duration);
  }
}

/** The largest `-t` of a command line, in seconds: what is read of an input, or written to an output. */
function longest(args: readonly string[]): number | undefined {
  const stated = args.flatMap((arg, index) => (arg === '-t' ? (seconds(args[index + 1] ?? '') ?? []) : []));
  return stated.length > 0 ? Math.max(...stated) : undefined;
}

function seconds(text: string): number | undefined {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text);
  const clock = /^(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)$/.exec(text);
  return clock ? Number(clock[1] ?? 0) * 3600 + Number(clock[2]) * 60 + Number(clock[3]) : undefined;
}
