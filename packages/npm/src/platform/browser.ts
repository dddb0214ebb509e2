// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

import { UsageError } from '../errors.ts';
import type { ModuleSource } from '../module.ts';
import type { FromWorker, Port, ToWorker } from '../protocol.ts';
import type { Local, StartedWorker, WorkerHandle } from './platform.ts';

/** Workers read Blobs and addresses themselves, without waiting. */
export const READS_BLOBS = true;

/** The thread that calls is a page's, which is not to be held up. */
export const COMPILES_IN_WORKER = true;

/**
 * Chromium ends a worker that computes two seconds after it was told to, and at once when it waits. So a job waits for
 * nothing now and then.
 */
export const PAUSES_IN_WORKER = true;

/** Gives what else the thread has to do its turn; timers would take longer. */
export function pause(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}

export function local(): Local {
  throw new UsageError('no-paths', 'a browser has no paths; give a File, which the page can read, or a handle of OPFS');
}

export async function installedModule(): Promise<ModuleSource | undefined> {
  return undefined;
}

/** What addresses that are not whole are relative to. */
export function baseAddress(): string | undefined {
  return globalThis.location?.href;
}

export async function readLocal(_url: URL): Promise<Uint8Array<ArrayBuffer> | undefined> {
  return undefined;
}

/** The global scope of a worker, which TypeScript's library for pages lacks. */
interface WorkerScope {
  postMessage(message: unknown, transfer: Transferable[]): void;
  onmessage: ((event: MessageEvent) => void) | null;
}

export function workerPort(): Port<ToWorker, FromWorker> {
  const scope = globalThis as unknown as WorkerScope;
  return {
    post: (message, transfer = []) => scope.postMessage(message, transfer),
    listen: (take) => {
      scope.onmessage = (event) => take(event.data as ToWorker);
    },
  };
}

export function hasWorkers(): boolean {
  return typeof Worker === 'function';
}

export function coreCount(): number {
  return globalThis.navigator?.hardwareConcurrency ?? 1;
}

/** Workers do not start from their file where a bundler has left it out, or the script is of another origin. */
let startsFromFile = true;

export function startWorker(): StartedWorker {
  return { ready: start(), hold: () => undefined };
}

async function start(): Promise<WorkerHandle> {
  if (startsFromFile) {
    try {
      return await ready(() => new Worker(new URL('./worker.js', import.meta.url), { type: 'module' }));
    } catch {
      // Tried below.
    }
  }
  try {
    const { default: source } = await import('#worker-source');
    const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
    const started = ready(() => new Worker(url, { type: 'module' }));
    const worker = await started.finally(() => URL.revokeObjectURL(url));
    // Only now the file is known to be at fault. Where neither starts, what keeps it from being fetched may pass.
    startsFromFile = false;
    return worker;
  } catch (cause) {
    const message =
      'no worker can be started: neither from worker.js beside this script, nor from a blob: address, which the ' +
      "page's content security policy may forbid; serve worker.js, or run the job with `worker: false`";
    throw new UsageError('no-worker', message, { cause });
  }
}

/** A worker that has said that it runs. */
function ready(make: () => Worker): Promise<WorkerHandle> {
  return new Promise((resolve, reject) => {
    const worker = make();
    worker.onmessage = () => resolve(handle(worker));
    worker.onerror = (event) => {
      event.preventDefault?.();
      worker.terminate();
      reject(new Error(event.message ?? 'the script of the worker was not found'));
    };
  });
}

function handle(worker: Worker): WorkerHandle {
  return {
    post: (message) => worker.postMessage(message),
    listen: (take, died) => {
      worker.onmessage = (event) => take(event.data as FromWorker);
      worker.onerror = (event) => died(event.message);
      worker.onmessageerror = () => died('a message could not be read');
    },
    terminate: () => worker.terminate(),
  };
}
