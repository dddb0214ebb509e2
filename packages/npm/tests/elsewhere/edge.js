// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// A program for workerd, which compiles the module ahead.
import { Runtime } from 'afmpeg';
import module from './module.wasm';

export default {
  async fetch(request) {
    if (request.method === 'HEAD') return new Response();
    try {
      const runtime = await Runtime.load(module);
      const bytes = new Uint8Array(await request.arrayBuffer());
      const { streams } = await runtime.probe(bytes, { memoryMaxBytes: 100e6 });
      return Response.json(streams.map(({ codec_name }) => codec_name));
    } catch (error) {
      return new Response(`${error.code} ${error.stack}`, { status: 500 });
    }
  },
};
