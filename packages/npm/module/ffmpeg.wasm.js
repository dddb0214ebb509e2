// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// The interface of ffmpeg.wasm, with this module: programs change the import and run.
import { setModule } from 'afmpeg/ffmpeg.wasm';

import module from './index.js';

setModule(module);

export * from 'afmpeg/ffmpeg.wasm';
