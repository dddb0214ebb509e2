// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Modules: where they come from, and how they are compiled.

import { baseAddress, COMPILES_IN_WORKER, hasWorkers, installedModule, readLocal, startWorker } from '#platform';
import { fromPlain, ModuleError, UnsupportedError, UsageError } from './errors.ts';
import { limitMemory } from './memory-maximum.ts';
import type { StartedWorker, WorkerHandle } from './platform/platform.ts';

/** What a package such as `@afmpeg/o3-gpl` exports: where its module lies, and what it needs. */
export interface ModuleDescription {
  /** The version of this description; see {@link DESCRIPTION_FORMAT}. */
  format: number;
  /** Such as `o3-gpl`. */
  variant: string;
  version: string;
  ffmpegVersion: string;
  url: string;
  /** The same module, compressed with gzip. */
  gzipUrl: string;
  /** What the engine must have, such as `simd`. */
  engineFeatures: string[];
}

/** Where a module comes from. Bytes and answers of servers may be compressed with gzip. */
export type ModuleSource = ModuleDescription | WebAssembly.Module | URL | string | Response | ArrayBuffer | Uint8Array;

/** The form of descriptions that this version of the package reads. */
export const DESCRIPTION_FORMAT = 1;

declare const AFMPEG_VARIANTS: string[];

/** The names of the modules that are published, the preferred one first. */
export const VARIANTS: readonly string[] = AFMPEG_VARIANTS;

/** A module with an instruction of SIMD: `v128.const`, dropped. */
const SIMD_PROBE = new Uint8Array([
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 23, 1, 21, 0, 253, 12],
  ...new Array<number>(16).fill(0),
  ...[26, 11],
]);

export function hasSimd(): boolean {
  return WebAssembly.validate(SIMD_PROBE);
}

function noSimd(): ModuleError {
  const message =
    'the module needs SIMD, which this engine does not have; install @afmpeg/o3-gpl-scalar, which runs without it';
  return new ModuleError('no-simd', message);
}

/** Modules that were asked for before, by their addresses: each is compiled once in a page or process. */
const compiled = new Map<string, Promise<WebAssembly.Module>>();

/** Compiles a module, or the one that is installed, with a lower maximum of its memory where one is given. */
export async function compile(source?: ModuleSource, memoryMaxBytes?: number): Promise<WebAssembly.Module> {
  const found = source ?? (await installedModule());
  if (found === undefined) {
    const message =
      'there is no module: install one, such as @afmpeg/o3-gpl, and give what it exports (in node it is found by ' +
      'itself), or give an address, bytes or a compiled module';
    throw new ModuleError('no-module', message);
  }
  const address = addressOf(found);
  if (address === undefined) return checked(await loadAside(found, memoryMaxBytes));
  const key = `${address} ${memoryMaxBytes}`;
  const before = compiled.get(key);
  if (before) return before;
  const module = loadAside(found, memoryMaxBytes).then(checked);
  compiled.set(key, module);
  module.catch(() => compiled.delete(key));
  return module;
}

function isDescription(source: ModuleSource): source is ModuleDescription {
  return typeof source === 'object' && 'variant' in source && 'url' in source;
}

function addressOf(source: ModuleSource): string | undefined {
  if (typeof source === 'string' || source instanceof URL) return String(source);
  return isDescription(source) ? source.url : undefined;
}

/**
 * Loads a module in a worker, which ends then. The calling thread is not held up by what comes, and what compiling leaves
 * behind is gone at once.
 */
async function loadAside(source: ModuleSource, memoryMaxBytes: number | undefined): Promise<WebAssembly.Module> {
  const movable = COMPILES_IN_WORKER && hasWorkers() ? asMovable(source) : undefined;
  if (movable === undefined) return load(source, memoryMaxBytes);
  let worker: WorkerHandle;
  let started: StartedWorker | undefined;
  try {
    started = startWorker();
    worker = await started.ready;
  } catch {
    // A job tells what keeps workers from starting, if it needs one.
    return load(source, memoryMaxBytes);
  }
  try {
    return await new Promise<WebAssembly.Module>((resolve, reject) => {
      // Where a module cannot be handed over, or the worker dies, it is loaded here.
      const here = () => load(source, memoryMaxBytes).then(resolve, reject);
      worker.listen((message) => {
        if (message.type === 'compiled') resolve(message.module);
        else if (message.type === 'failed') reject(fromPlain(message.error));
      }, here);
      worker.post({ type: 'compile', source: movable, memoryMaxBytes });
    });
  } finally {
    worker.terminate();
  }
}

/** What a worker can load: addresses, in full, and bytes. */
export type MovableSource = ModuleDescription | string | Uint8Array | ArrayBuffer;

function asMovable(source: ModuleSource): MovableSource | undefined {
  if (source instanceof ArrayBuffer || source instanceof Uint8Array) return source;
  try {
    if (typeof source === 'string' || source instanceof URL) return resolveAddress(source).href;
    if (!isDescription(source)) return undefined;
    const [url, gzipUrl] = [resolveAddress(source.url).href, resolveAddress(source.gzipUrl).href];
    return { ...source, url, gzipUrl };
  } catch {
    // What is wrong with an address is told by loading it.
    return undefined;
  }
}

/** Loads a module in this thread. */
export async function load(source: ModuleSource, memoryMaxBytes?: number): Promise<WebAssembly.Module> {
  if (source instanceof WebAssembly.Module) {
    if (memoryMaxBytes === undefined) return source;
    const message =
      'a compiled module keeps the maximum of its memory; give its address or bytes, or limit each job by its own ' +
      '`memoryMaxBytes`';
    throw new UsageError('compiled-already', message);
  }
  if (isDescription(source)) return loadDescribed(source, memoryMaxBytes);
  if (typeof source === 'string' || source instanceof URL) return loadAddress(source, memoryMaxBytes);
  if (typeof Response === 'function' && source instanceof Response) return loadResponse(source, memoryMaxBytes);
  if (source instanceof ArrayBuffer) return fromStream(streamOf(new Uint8Array(source)), memoryMaxBytes);
  if (ArrayBuffer.isView(source)) return fromStream(streamOf(source), memoryMaxBytes);
  const message =
    'the module is none: give an address, bytes, a Response, a compiled module, or what a package exports';
  throw new ModuleError('module-invalid', message);
}

async function loadDescribed(
  source: ModuleDescription,
  memoryMaxBytes: number | undefined,
): Promise<WebAssembly.Module> {
  if (source.format !== DESCRIPTION_FORMAT) {
    const message =
      `@afmpeg/${source.variant} ${source.version} was made for another version of afmpeg (its format is ` +
      `${source.format}, and ${DESCRIPTION_FORMAT} is known here); install both in the same version`;
    throw new ModuleError('module-version', message);
  }
  if (source.engineFeatures.includes('simd') && !hasSimd()) throw noSimd();
  const url = resolveAddress(source.url);
  if (url.protocol === 'file:') return loadAddress(url, memoryMaxBytes);
  const response = await get(url);
  // Without compression by the server, a third of the bytes is to be had from the compressed file.
  const isCompressed = response.headers.get('content-encoding') !== null;
  if (response.ok && isCompressed) return loadResponse(response, memoryMaxBytes);
  await response.body?.cancel();
  return loadAddress(source.gzipUrl, memoryMaxBytes);
}

/** An address, or in node a path, in full. */
export function resolveAddress(address: string | URL): URL {
  return new URL(address, baseAddress());
}

async function loadAddress(
  address: string | URL,
  memoryMaxBytes: number | undefined,
): Promise<WebAssembly.Module> {
  let url: URL;
  try {
    url = resolveAddress(address);
  } catch (cause) {
    const message = `\`${address}\` is not an address of a module; write it in full, such as https://… or file:///…`;
    throw new ModuleError('module-unreachable', message, { cause });
  }
  const bytes = await readLocal(url).catch((cause: unknown) => {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ModuleError('module-unreachable', `the module cannot be read: ${reason}; see whether it is there`, {
      cause,
    });
  });
  return bytes ? fromBytes(bytes, memoryMaxBytes) : loadResponse(await get(url), memoryMaxBytes);
}

async function get(url: URL): Promise<Response> {
  try {
    return await fetch(url);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message =
      `the module at ${url} cannot be fetched: ${reason}; see whether it is there, and allowed for this ` + `page`;
    throw new ModuleError('module-unreachable', message, { cause });
  }
}

async function loadResponse(response: Response, memoryMaxBytes: number | undefined): Promise<WebAssembly.Module> {
  if (!response.ok) {
    const message = `the server of the module at ${response.url} answers ${response.status}; see whether it is there`;
    throw new ModuleError('module-unreachable', message);
  }
  // An answer as it is, and no other, has its compiled code kept by the engine.
  const isPlain = response.headers.get('content-type') === 'application/wasm' && !/\.(gz|br)$/.test(response.url);
  if (isPlain && memoryMaxBytes === undefined && typeof WebAssembly.compileStreaming === 'function') {
    return compiling(() => WebAssembly.compileStreaming(response));
  }
  if (!response.body) return fromBytes(new Uint8Array(await response.arrayBuffer()), memoryMaxBytes);
  return fromStream(response.body, memoryMaxBytes);
}

type Bytes = Uint8Array<ArrayBuffer>;

function streamOf(bytes: Uint8Array): ReadableStream<Bytes> {
  return new Blob([bytes as Bytes]).stream() as ReadableStream<Bytes>;
}

async function fromBytes(bytes: Bytes, memoryMaxBytes: number | undefined): Promise<WebAssembly.Module> {
  if (isGzip(bytes)) return fromStream(streamOf(bytes), memoryMaxBytes);
  checkMagic(bytes);
  if (memoryMaxBytes !== undefined) limitMemory(bytes, memoryMaxBytes);
  return compiling(() => WebAssembly.compile(bytes));
}

function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

function checkMagic(bytes: Uint8Array): void {
  const magic = [0, 97, 115, 109];
  if (magic.every((byte, index) => bytes[index] === byte)) return;
  const isText = bytes[0] === 0x3c;
  const hint = isText
    ? 'it looks like a page of HTML: see whether the address is right'
    : 'brotli must be undone by the server';
  throw new ModuleError(
    'module-invalid',
    `the module is neither WebAssembly nor WebAssembly compressed with gzip; ${hint}`,
  );
}

/** Compiles while the bytes come, whether or not a server has undone their compression. */
async function fromStream(
  stream: ReadableStream<Bytes>,
  memoryMaxBytes: number | undefined,
): Promise<WebAssembly.Module> {
  const { first, whole } = await peek(stream);
  let plain = whole;
  if (isGzip(first)) {
    if (typeof DecompressionStream !== 'function') {
      throw new UnsupportedError('no-gzip', 'this engine does not undo gzip; give the module uncompressed');
    }
    const peeked = await peek(
      whole.pipeThrough(new DecompressionStream('gzip') as TransformStream<Bytes, Bytes>),
    ).catch(broken);
    checkMagic(peeked.first);
    plain = peeked.whole;
  } else {
    checkMagic(first);
  }
  if (memoryMaxBytes !== undefined) {
    // The memory is described in the first of the module's bytes.
    const { whole } = await peek(plain, (head) => limitMemory(head, memoryMaxBytes));
    plain = whole;
  }
  const response = new Response(plain, { headers: { 'Content-Type': 'application/wasm' } });
  if (typeof WebAssembly.compileStreaming === 'function') {
    return compiling(() => WebAssembly.compileStreaming(response));
  }
  const bytes = await response.arrayBuffer().catch(broken);
  return compiling(() => WebAssembly.compile(bytes));
}

function broken(cause: unknown): never {
  const reason = cause instanceof Error ? cause.message : String(cause);
  throw new ModuleError('module-invalid', `the module is damaged: ${reason}; fetch it again`, { cause });
}

/** The first bytes of a stream, as many as are wanted, and a stream of all of it. */
async function peek(
  stream: ReadableStream<Bytes>,
  isEnough = (head: Bytes) => head.byteLength >= 4,
): Promise<{ first: Bytes; whole: ReadableStream<Bytes> }> {
  const reader = stream.getReader();
  let first = new Uint8Array();
  while (!isEnough(first)) {
    const { done, value } = await reader.read();
    if (done) break;
    const longer = new Uint8Array(first.byteLength + value.byteLength);
    longer.set(first);
    longer.set(value, first.byteLength);
    first = longer;
  }
  const whole = new ReadableStream<Bytes>({
    start: (controller) => {
      if (first.byteLength > 0) controller.enqueue(first);
    },
    pull: async (controller) => {
      const { done, value } = await reader.read();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  });
  return { first: first.slice(0, 4), whole };
}

async function compiling(compile: () => Promise<WebAssembly.Module>): Promise<WebAssembly.Module> {
  try {
    return await compile();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    if (cause instanceof WebAssembly.CompileError) {
      if (!hasSimd()) throw noSimd();
      throw new ModuleError('module-invalid', `the module cannot be compiled: ${reason}; fetch it again`, { cause });
    }
    if (/unsafe-eval|Content Security Policy/.test(reason)) {
      const message =
        "the page's content security policy forbids WebAssembly; add 'wasm-unsafe-eval' to its script-src";
      throw new ModuleError('forbidden', message, { cause });
    }
    throw new ModuleError('module-unreachable', `the module did not come whole: ${reason}; try again`, { cause });
  }
}

/** A module imports WASI and nothing else, and is a program. */
function checked(module: WebAssembly.Module): WebAssembly.Module {
  const foreign = WebAssembly.Module.imports(module).find(({ module, kind }) => {
    return module !== 'wasi_snapshot_preview1' || kind !== 'function';
  });
  const exported = new Map(WebAssembly.Module.exports(module).map(({ name, kind }) => [name, kind]));
  const missing = [
    ['memory', 'memory'],
    ['_start', 'function'],
  ].find(([name, kind]) => exported.get(name ?? '') !== kind);
  if (foreign === undefined && missing === undefined) return module;
  const reason = foreign ? `it imports ${foreign.module}.${foreign.name}` : `it exports no ${missing?.join(', a ')}`;
  const message = `the module is not one of afmpeg: ${reason}; take one of its own, such as @afmpeg/o3-gpl`;
  throw new ModuleError('not-a-program', message);
}
