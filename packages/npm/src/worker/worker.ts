// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// A worker: it runs one job, or compiles one module, and is ended then.

import { pause, PAUSES_IN_WORKER, workerPort } from '#platform';
import { toPlain } from '../errors.ts';
import type { Caller, Reply } from '../files/remote.ts';
import { canSuspend, execute } from '../job.ts';
import { load } from '../module.ts';
import { ask, type Compile, type FromWorker, type Start } from '../protocol.ts';
import type { Sleep } from '../wasi/host.ts';

// Nothing is waited for here: bundlers make a classic script of it.
const port = workerPort();
let answered: ((reply: Reply) => void) | undefined;

port.listen((message) => {
  if (message.type === 'reply') answered?.(message.reply);
  else if (message.type === 'compile') void compile(message);
  else void run(message);
});
post({ type: 'ready' });

function post(message: FromWorker, transfer: ArrayBuffer[] = []): void {
  port.post(message, transfer);
}

async function compile({ source, memoryMaxBytes }: Compile): Promise<void> {
  try {
    post({ type: 'compiled', module: await load(source, memoryMaxBytes) });
  } catch (error) {
    post({ type: 'failed', error: toPlain(error) });
  }
}

async function run({ module, spec, answers }: Start): Promise<void> {
  try {
    const result = await execute(module, spec, {
      log: (line) => post({ type: 'log', line }),
      progress: (progress) => post({ type: 'progress', progress }),
      caller: caller(answers),
      // Where nothing has to be waited for, the engine is spared a second stack.
      suspends: canSuspend() && (PAUSES_IN_WORKER || (!answers && needsCalls(spec))),
      sleep: sleep(),
      check: () => undefined,
      pause: PAUSES_IN_WORKER ? pause : undefined,
    });
    const transferred = [result.stdout.buffer, ...result.files.map(([, data]) => data.buffer)];
    post({ type: 'done', result }, transferred);
  } catch (error) {
    post({ type: 'failed', error: toPlain(error) });
  }
}

function needsCalls({ files, stdin, stdout }: Start['spec']): boolean {
  return stdin.kind === 'stream' || stdout !== undefined || files.some(([, place]) => place.kind === 'remote');
}

function caller(answers: SharedArrayBuffer | undefined): Caller | undefined {
  if (answers) return (request) => ask(answers, () => post({ type: 'call', request }));
  if (!canSuspend()) return undefined;
  return (request) =>
    new Promise((resolve) => {
      answered = resolve;
      post({ type: 'call', request });
    });
}

/** Workers can wait in shared memory, which WebAssembly gives even where pages may not share it. */
function sleep(): Sleep | undefined {
  try {
    const { buffer } = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const never = new Int32Array(buffer);
    Atomics.wait(never, 0, 0, 0);
    return (milliseconds) => void Atomics.wait(never, 0, 0, milliseconds);
  } catch {
    return undefined;
  }
}
