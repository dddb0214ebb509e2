// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// What the code that wasm2c generates needs of a runtime, in the place of wabt's wasm-rt.h.
#ifndef WASM_RT_H_
#define WASM_RT_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define wasm_rt_memcpy __builtin_memcpy

// Loads and stores outside of the memory end at pages that are not mapped: 8 GiB are reserved, and an address is the sum of
// two numbers of 32 bits. A load that changes nothing may be left out, so that the compiler can move loads and make them part
// of other instructions; those whose result is dropped are made (PACK_MAKE in overrides.h).
#define WASM_RT_USE_MMAP 1
#define WASM_RT_MEMCHECK_GUARD_PAGES 1
#define WASM_RT_MEMCHECK_BOUNDS_CHECK 0
#define WASM_RT_NONCONFORMING_ALLOW_OOB_READ_ELIMINATION 1
// The stack ends at such pages, too.
#define WASM_RT_STACK_DEPTH_COUNT 0
#if defined(__x86_64__)
// The memory lies at the base of a segment register, so that an address needs no other one. `pack_run` sets it, and no function
// of the module.
#define WASM_RT_USE_SEGUE 1
#define WASM_RT_SEGUE_FREE_SEGMENT 0
#define wasm_rt_fsgsbase_inst_supported 0
#define wasm_rt_syscall_get_segue_base() ((void *)0)
#define wasm_rt_syscall_set_segue_base(base) ((void)(base))
#else
#define WASM_RT_USE_SEGUE 0
#endif
#define WASM_RT_SANITY_CHECKS 0

typedef enum {
    WASM_RT_TRAP_OOB,
    WASM_RT_TRAP_INT_OVERFLOW,
    WASM_RT_TRAP_DIV_BY_ZERO,
    WASM_RT_TRAP_INVALID_CONVERSION,
    WASM_RT_TRAP_UNREACHABLE,
    WASM_RT_TRAP_CALL_INDIRECT,
} wasm_rt_trap_t;

typedef enum {
    WASM_RT_I32,
    WASM_RT_I64,
    WASM_RT_F32,
    WASM_RT_F64,
    WASM_RT_V128,
    WASM_RT_FUNCREF,
    WASM_RT_EXTERNREF,
} wasm_rt_type_t;

typedef void (*wasm_rt_function_ptr_t)(void);

typedef struct wasm_rt_tailcallee_t {
    void (*fn)(void **instance, void *stack, struct wasm_rt_tailcallee_t *next);
} wasm_rt_tailcallee_t;

// A hash of 256 bits.
typedef const char *wasm_rt_func_type_t;

typedef struct {
    wasm_rt_func_type_t func_type;
    wasm_rt_function_ptr_t func;
    wasm_rt_tailcallee_t func_tailcallee;
    void *module_instance;
} wasm_rt_funcref_t;

typedef void *wasm_rt_externref_t;

#define wasm_rt_funcref_null_value ((wasm_rt_funcref_t){NULL, NULL, {NULL}, NULL})
#define wasm_rt_externref_null_value ((wasm_rt_externref_t)NULL)

typedef struct {
    uint8_t *data;
    uint8_t *data_end;
    uint32_t page_size;
    uint64_t pages;
    uint64_t max_pages;
    uint64_t size;
    bool is64;
} wasm_rt_memory_t;

// Never made: modules with shared memories are refused.
typedef struct {
    _Atomic volatile uint8_t *data;
    uint64_t size;
} wasm_rt_shared_memory_t;

typedef struct {
    wasm_rt_funcref_t *data;
    uint32_t max_size;
    uint32_t size;
} wasm_rt_funcref_table_t;

typedef struct {
    wasm_rt_externref_t *data;
    uint32_t max_size;
    uint32_t size;
} wasm_rt_externref_table_t;

// Traps of wasm2c's own functions do not know the instance. overrides.h has others in their place; this is defined nowhere, so
// that one that is left does not link.
_Noreturn void wasm_rt_trap(wasm_rt_trap_t);

#endif
