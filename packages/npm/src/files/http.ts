// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Files on web servers, read by ranges.

import { SourceError } from '../errors.ts';
import type { Content } from './file-system.ts';
import { ReadAhead } from './read-ahead.ts';

/** A file on a server, as it was found: later answers must be of the same one. */
export interface Found {
  url: string;
  sizeBytes: number;
  /** The entity tag or the time of its last change. */
  version: string | null;
}

function failed(url: string, reason: string, cause?: unknown): SourceError {
  return new SourceError('unreachable', `${url} cannot be read: ${reason}; see whether it can be fetched from here`, {
    cause,
  });
}

function noRanges(url: string): SourceError {
  const message =
    `the server of ${url} does not give ranges of it, or does not say its size to this origin ` +
    `(Access-Control-Expose-Headers: Content-Range); fetch it whole, and give its Blob`;
  return new SourceError('no-ranges', message);
}

interface Headers {
  get(name: string): string | null;
}

function versionOf(headers: Headers): string | null {
  return headers.get('etag') ?? headers.get('last-modified');
}

/** Frees the connection of an answer whose body is not wanted; one that has failed already is no news. */
function drop({ body }: Response): void {
  void body?.cancel().catch(() => undefined);
}

/** Looks for a file, and whether it can be read by ranges. */
export async function find(url: string, signal?: AbortSignal): Promise<Found> {
  const options = signal ? { signal } : {};
  const get = async (init: RequestInit) => {
    try {
      return await fetch(url, { ...init, ...options });
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw failed(url, error instanceof Error ? error.message : String(error), error);
    }
  };
  const response = await get({ headers: { Range: 'bytes=0-0' } });
  drop(response);
  if (response.status === 416) return { url, sizeBytes: 0, version: versionOf(response.headers) };
  if (!response.ok) throw failed(url, `the server answers ${response.status}`);
  if (response.status !== 206) throw noRanges(url);
  let size = /\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1];
  // Servers of other origins rarely allow to see the range, but any may see the length.
  if (size === undefined) size = (await get({ method: 'HEAD' })).headers.get('content-length') ?? undefined;
  if (size === undefined) throw noRanges(url);
  return { url, sizeBytes: Number(size), version: versionOf(response.headers) };
}

function check({ url, version }: Found, status: number, headers: Headers): void {
  if (status !== 206) throw status === 200 ? noRanges(url) : failed(url, `the server answers ${status}`);
  if (versionOf(headers) !== version) {
    throw new SourceError('changed', `${url} was changed while it was read; start the job again`);
  }
}

const range = (offset: number, length: number) => `bytes=${offset}-${offset + length - 1}`;

export async function read(found: Found, offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
  const options = signal ? { signal } : {};
  const reach = async <T>(call: () => Promise<T>): Promise<T> => {
    try {
      return await call();
    } catch (error) {
      throw failed(found.url, error instanceof Error ? error.message : String(error), error);
    }
  };
  const response = await reach(() => fetch(found.url, { headers: { Range: range(offset, length) }, ...options }));
  try {
    check(found, response.status, response.headers);
  } catch (error) {
    drop(response);
    throw error;
  }
  // The connection may break in the midst of it, too.
  return new Uint8Array(await reach(() => response.arrayBuffer()));
}

/** A file on a server, read in a worker of a browser without waiting for promises. */
export function httpContent(found: Found): Content {
  return new ReadAhead(found.url, found.sizeBytes, (offset, length) => {
    const request = new XMLHttpRequest();
    request.open('GET', found.url, false);
    request.responseType = 'arraybuffer';
    request.setRequestHeader('Range', range(offset, length));
    try {
      request.send();
    } catch (error) {
      throw failed(found.url, 'the network or the server is gone', error);
    }
    check(found, request.status, { get: (name) => request.getResponseHeader(name) });
    return new Uint8Array(request.response as ArrayBuffer);
  });
}
