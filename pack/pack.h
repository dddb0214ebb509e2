// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// What a pack and the runtime know of each other. A pack is a shared object with one symbol, `afmpeg_pack`, that needs no
// library: it calls only what the runtime gives to an instance. The runtime has the same structures in
// runtime/src/engine/pack/abi.rs; a change of either is a new AFMPEG_PACK_ABI.
#ifndef AFMPEG_PACK_H
#define AFMPEG_PACK_H

#include <stdint.h>

enum { AFMPEG_PACK_ABI = 1 };

// How a run of a program ended. The numbers are part of the interface.
enum afmpeg_ending {
    AFMPEG_RETURNED = 0,
    AFMPEG_ENDED_BY_HOST = 1,    // a call of the host said so
    AFMPEG_TRAP_MEMORY = 2,      // outside of the memory
    AFMPEG_TRAP_TABLE = 3,       // outside of a table
    AFMPEG_TRAP_INDIRECT = 4,    // a call through a table of a function of another type, or of none
    AFMPEG_TRAP_UNREACHABLE = 5,
    AFMPEG_TRAP_DIVISION = 6,    // by zero
    AFMPEG_TRAP_OVERFLOW = 7,    // of an integer
    AFMPEG_TRAP_CONVERSION = 8,  // of a number that no integer is
    AFMPEG_TRAP_STACK = 9,       // exhausted
    AFMPEG_TRAP_OTHER = 10,
    AFMPEG_NO_MEMORY = 11,       // the host refused what an instance needs at its start
};

// What the runtime gives to one instance; it stays where it is, and unchanged, while the instance lives.
struct afmpeg_pack_host {
    void *context;
    // Calls an import, by its number in `imports`. Arguments and result are 64 bits each; those of 32 are zero-extended,
    // floats are their bits. Sets *ends where the program must not go on: the pack then returns AFMPEG_ENDED_BY_HOST.
    uint64_t (*call)(void *context, uint32_t import, const uint64_t *arguments, uint32_t *ends);
    // Whether the program should end: asked between two parts of long operations on memory and tables.
    uint32_t (*must_end)(void *context);
    // Makes so many pages of 64 KiB after the current ones accessible, all zero. 0 if they may not be had.
    uint32_t (*grow)(void *context, uint64_t pages, uint64_t more_pages);
    // Zeroed memory for tables; a table that grows takes new memory and gives the old back. Null if it may not be had.
    void *(*allocate)(void *context, uint64_t size_bytes);
    void (*release)(void *context, void *memory, uint64_t size_bytes);
    // The address of the memory: 8 GiB and a page of 64 KiB are reserved there, inaccessible but for what was grown.
    uint8_t *memory;
    uint64_t memory_max_pages;
    // A call of the host or a function with a deeper stack than this is AFMPEG_TRAP_STACK; below, there is room for the host.
    const uint8_t *stack_limit;
};

struct afmpeg_pack_function_type {
    const char *parameters; // a character each: i (i32), I (i64), f (f32), d (f64)
    const char *results;
};

struct afmpeg_pack_import {
    const char *module, *name;
    struct afmpeg_pack_function_type type;
};

struct afmpeg_pack {
    uint32_t abi;             // AFMPEG_PACK_ABI: the first member in every version
    uint32_t size_bytes;      // of this structure
    const char *machine;      // such as x86_64-v3-linux
    uint8_t module_sha256[32];
    uint64_t memory_pages, memory_max_pages; // of the module's own memory; the host grows it from 0
    uint64_t instance_size_bytes;            // and aligned to 64
    const struct afmpeg_pack_import *imports;
    uint64_t imports_count;
    // The code of the module, of which an instruction may be the last one that a stopped program executes. It owns nothing that
    // must be cleaned up. What calls the host lies outside.
    const uint8_t *code_begin, *code_end;
    // Makes an instance in zeroed memory and runs the module's `_start`, on the stack of the caller.
    uint32_t (*run)(void *instance, const struct afmpeg_pack_host *host);
    // Gives back what `allocate` gave. After every run, however it ended.
    void (*release)(void *instance);
    // Where a signal's handler has a thread go on that it found in the code: with the instance in the first register of arguments
    // and an afmpeg_ending in the second. Never returns; `run` does, with that ending.
    void (*leave)(void *instance, uint32_t ending);
    // The pages that the instance's memory has now.
    uint64_t (*pages)(const void *instance);
};

extern const struct afmpeg_pack afmpeg_pack;

#endif
