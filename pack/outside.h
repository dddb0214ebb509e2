// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// The part of a pack that calls the host: no stop leaves it on the way.
#ifndef AFMPEG_PACK_OUTSIDE_H
#define AFMPEG_PACK_OUTSIDE_H

#include "state.h"

#pragma GCC visibility push(hidden)

uint64_t outside_call(struct pack_state *state, uint32_t import, const uint64_t *arguments);
void outside_pause(struct pack_state *state);
void outside_memory_allocate(struct pack_state *state, wasm_rt_memory_t *memory, uint64_t pages, uint64_t max_pages);
uint64_t outside_memory_grow(struct pack_state *state, wasm_rt_memory_t *memory, uint64_t pages);
void *outside_allocate(struct pack_state *state, uint64_t size_bytes);
void outside_release(struct pack_state *state, void *memory);

#pragma GCC visibility pop

#endif
