// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

import { existsSync, realpathSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { basename, dirname, join, resolve as absolute } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parentPort, Worker } from 'node:worker_threads';

import { UsageError } from '../errors.ts';
import { NodeFolder, openPath } from '../files/node.ts';
import { type ModuleDescription, type ModuleSource, VARIANTS } from '../module.ts';
import type { FromWorker, Port, ToWorker } from '../protocol.ts';
import type { Local, StartedWorker, WorkerHandle } from './platform.ts';

/** The calling thread reads Blobs and addresses, as workers cannot without waiting. */
export const READS_BLOBS = false;

/** The module lies on the machine, and is compiled by other threads anyway. */
export const COMPILES_IN_WORKER = false;

/** Workers end at once, whatever they do. */
export const PAUSES_IN_WORKER = false;

/** Gives what else the thread has to do its turn. */
export function pause(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export function local(): Local {
  return {
    file: openPath,
    folder: (name, path, isWritable) => new NodeFolder(name, path, isWritable),
    locate: (path) => {
      const place = existsSync(path) ? realpathSync(path) : absolute(path);
      return [dirname(place), basename(place)];
    },
  };
}

/** The first of the packages of modules that is installed, seen from the program's folder and from this package's. */
export async function installedModule(): Promise<ModuleSource | undefined> {
  const places = [pathToFileURL(join(process.cwd(), 'package.json')).href, import.meta.url];
  for (const name of VARIANTS) {
    for (const place of places) {
      try {
        const path = createRequire(place).resolve(`@afmpeg/${name}`);
        const found = (await import(pathToFileURL(path).href)) as { default: ModuleDescription };
        return found.default;
      } catch {
        // It is not installed here.
      }
    }
  }
  return undefined;
}

/** What addresses that are not whole are relative to: so paths can be given. */
export function baseAddress(): string | undefined {
  return pathToFileURL(join(process.cwd(), '/')).href;
}

export async function readLocal(url: URL): Promise<Uint8Array<ArrayBuffer> | undefined> {
  return url.protocol === 'file:' ? new Uint8Array(await readFile(url)) : undefined;
}

export function workerPort(): Port<ToWorker, FromWorker> {
  const port = parentPort;
  if (!port) throw new UsageError('not-a-worker', 'worker.js is started by afmpeg itself');
  return {
    post: (message, transfer = []) => port.postMessage(message, transfer),
    listen: (take) => void port.on('message', take),
  };
}

export function hasWorkers(): boolean {
  return true;
}

export function coreCount(): number {
  return availableParallelism();
}

export function startWorker(): StartedWorker {
  let worker: Worker | undefined;
  let isHeld = false;
  const apply = () => (isHeld ? worker?.ref() : worker?.unref());
  const start = async () => {
    worker = new Worker(await script());
    apply();
    return await ready(worker);
  };
  const hold = (held: boolean) => {
    isHeld = held;
    apply();
  };
  return { ready: start(), hold };
}

/** The file of the worker, or its text where a bundler has left the file out. */
async function script(): Promise<URL> {
  const file = new URL('./worker.js', import.meta.url);
  if (existsSync(file)) return file;
  const { default: source } = await import('#worker-source');
  return new URL(`data:text/javascript,${encodeURIComponent(source)}`);
}

/** A worker that has said that it runs. */
function ready(worker: Worker): Promise<WorkerHandle> {
  return new Promise((resolve, reject) => {
    worker.once('error', (error) => {
      const message = `no worker can be started: ${error.message}; run the job with \`worker: false\``;
      reject(new UsageError('no-worker', message, { cause: error }));
    });
    worker.once('message', () => {
      worker.removeAllListeners('error');
      resolve(handle(worker));
    });
  });
}

function handle(worker: Worker): WorkerHandle {
  return {
    post: (message) => worker.postMessage(message),
    listen: (take, died) => {
      worker.on('message', take);
      worker.on('error', (error) => died(error.message));
      worker.on('messageerror', (error) => died(error.message));
      worker.on('exit', (code) => died(`the worker ended with ${code}`));
    },
    terminate: () => {
      worker.removeAllListeners();
      // Nothing is to be done when it has ended.
      worker.on('error', () => undefined);
      void worker.terminate();
    },
  };
}
