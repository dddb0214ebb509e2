// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// What a pack knows of an instance beside the module's own state, and what calls of the host and traps are made of.
#ifndef AFMPEG_PACK_STATE_H
#define AFMPEG_PACK_STATE_H

#include <stdint.h>

#include "pack.h"
#include "wasm-rt.h"

#pragma GCC visibility push(hidden)

struct pack_block;

// It lies before the module's state, which generated code knows by its address. runtime.c has assembly that knows where the
// second member is.
struct pack_state {
    const struct afmpeg_pack_host *host;
    void *stack; // of run(), at which a program is left
    const uint8_t *stack_limit;
    wasm_rt_memory_t *memory;
    struct pack_block *blocks; // that the host has allocated
} __attribute__((aligned(64)));

static inline struct pack_state *pack_state_of(void *module)
{
    return (struct pack_state *)module - 1;
}

static inline void *pack_module_of(struct pack_state *state)
{
    return state + 1;
}

// In the code of the module.
_Noreturn void pack_trap(void *module, enum afmpeg_ending ending);
uint64_t pack_call(void *module, uint32_t import, const uint64_t *arguments);

// In the table of a pack, outside of the code.
uint32_t pack_run(void *instance, const struct afmpeg_pack_host *host);
void pack_release(void *instance);
_Noreturn void pack_leave(void *instance, uint32_t ending);
uint64_t pack_pages(const void *instance);

// Of the module: makes its memory, tables and globals, and runs `_start`.
void pack_main(void *module);

#pragma GCC visibility pop

#endif
