// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// What strict TypeScript makes of the packages' types; compiled, and never run.
import {
  AfmpegError,
  type Files,
  folder,
  type Frame,
  LimitError,
  type Output,
  opfs,
  ParallelError,
  path,
  type Probe,
  type Progress,
  Runtime,
} from 'afmpeg';
import module from '@afmpeg/VARIANT';

export async function uses(
  file: File,
  handle: FileSystemFileHandle,
  stream: ReadableStream<Uint8Array>,
): Promise<Uint8Array> {
  const runtime: Runtime = await Runtime.load(module, { jobsMax: 2, memoryMaxBytes: 2 ** 30 });
  const files: Files = {
    'in.mp4': file,
    'more.mp4': new URL('https://media.example/in.mp4'),
    'own.mp4': { size: 1, read: (offset, length) => new Uint8Array(length).fill(offset) },
    'out.mkv': opfs(handle, { write: true }),
    'here.mp4': path('/srv/in.mp4'),
    clips: folder('/srv/clips', { write: true }),
  };
  const onProgress = ({ fraction, time }: Progress) => console.log(fraction?.toFixed(2), time + 1);
  const output: Output = await runtime.run(['ffmpeg', '-i', 'in.mp4', 'out.mp4'], {
    files,
    stdin: stream,
    stdout: new WritableStream<Uint8Array>(),
    signal: AbortSignal.timeout(1000),
    timeout: 1000,
    memoryMaxBytes: 2 ** 30,
    env: { TZ: 'UTC' },
    onProgress,
    onLog: (line) => console.log(line.trim()),
  });
  const probe: Probe = await runtime.probe(file, { timeout: 1000 });
  const width: number | undefined = probe.streams[0]?.display_width;
  const frames: Frame[] = await runtime.frames(file, { at: [0, 1.5], width: width ?? 320, format: 'jpeg' });
  const cut: Output = await runtime.run(['ffmpeg', '-i', 'in.mp4', 'out.mp4'], { files, parallel: 'require' });
  console.log(cut.segments + 1, cut.whole?.length);
  // @ts-expect-error: it is no way to run.
  await runtime.run(['ffmpeg'], { parallel: 'never' });
  // @ts-expect-error: a number is no file.
  await runtime.run(['ffmpeg'], { files: { 'in.mp4': 1 } });
  try {
    return output.expectSuccess().files['out.mp4'] ?? frames[0]?.image ?? new Uint8Array();
  } catch (error) {
    if (error instanceof LimitError) console.log(error.limit, error.allowed);
    if (error instanceof ParallelError) console.log(error.reason.length);
    if (error instanceof AfmpegError) console.log(error.code, error.output?.stderr);
    throw error;
  }
}
