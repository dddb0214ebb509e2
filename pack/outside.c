// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

#include "outside.h"

#include <stddef.h>

enum { PAGE_BYTES = 65536 };

// Before what the host has allocated.
struct pack_block {
    struct pack_block *next, *previous;
    uint64_t size_bytes;
} __attribute__((aligned(64)));

uint64_t outside_call(struct pack_state *state, uint32_t import, const uint64_t *arguments)
{
    const struct afmpeg_pack_host *host = state->host;
    uint32_t ends = 0;
    uint64_t result = host->call(host->context, import, arguments, &ends);
    if (ends)
        pack_leave(state, AFMPEG_ENDED_BY_HOST);
    return result;
}

void outside_pause(struct pack_state *state)
{
    const struct afmpeg_pack_host *host = state->host;
    if (host->must_end(host->context))
        pack_leave(state, AFMPEG_ENDED_BY_HOST);
}

void outside_memory_allocate(struct pack_state *state, wasm_rt_memory_t *memory, uint64_t pages, uint64_t max_pages)
{
    const struct afmpeg_pack_host *host = state->host;
    memory->data = host->memory;
    memory->page_size = PAGE_BYTES;
    memory->max_pages = max_pages < host->memory_max_pages ? max_pages : host->memory_max_pages;
    state->memory = memory;
    if (pages && outside_memory_grow(state, memory, pages) == (uint64_t)-1)
        pack_leave(state, AFMPEG_NO_MEMORY);
}

uint64_t outside_memory_grow(struct pack_state *state, wasm_rt_memory_t *memory, uint64_t pages)
{
    const struct afmpeg_pack_host *host = state->host;
    uint64_t old_pages = memory->pages, new_pages;
    if (pages == 0)
        return old_pages;
    // The host is asked in any case, so that it can tell which limit was reached.
    if (!host->grow(host->context, old_pages, pages) || __builtin_add_overflow(old_pages, pages, &new_pages) ||
        new_pages > memory->max_pages)
        return (uint64_t)-1;
    memory->pages = new_pages;
    memory->size = new_pages * PAGE_BYTES;
    memory->data_end = memory->data + memory->size;
    return old_pages;
}

void *outside_allocate(struct pack_state *state, uint64_t size_bytes)
{
    const struct afmpeg_pack_host *host = state->host;
    size_bytes += sizeof(struct pack_block);
    struct pack_block *block = host->allocate(host->context, size_bytes);
    if (!block)
        return NULL;
    block->size_bytes = size_bytes;
    block->next = state->blocks;
    block->previous = NULL;
    if (block->next)
        block->next->previous = block;
    state->blocks = block;
    return block + 1;
}

void outside_release(struct pack_state *state, void *memory)
{
    const struct afmpeg_pack_host *host = state->host;
    struct pack_block *block = (struct pack_block *)memory - 1;
    if (block->previous)
        block->previous->next = block->next;
    else
        state->blocks = block->next;
    if (block->next)
        block->next->previous = block->previous;
    host->release(host->context, block, block->size_bytes);
}

// Calls a function with one argument, on a stack that leave() comes back to.
uint32_t enter(struct pack_state *state, void *argument, void (*function)(void *));

#if defined(__x86_64__)
// The base of %gs, at which the module's memory lies. The kernel keeps it for each thread, and C libraries leave it alone.
// A program that a host's function runs meanwhile has its own.
enum { SYS_ARCH_PRCTL = 158, ARCH_SET_GS = 0x1001, ARCH_GET_GS = 0x1004 };

static long arch_prctl(long code, uint64_t argument)
{
    long result = SYS_ARCH_PRCTL;
    __asm__ volatile("syscall" : "+a"(result) : "D"(code), "S"(argument) : "rcx", "r11", "memory");
    return result;
}

static uint64_t segment_base(void)
{
    uint64_t base = 0;
    arch_prctl(ARCH_GET_GS, (uint64_t)(uintptr_t)&base);
    return base;
}

static void set_segment_base(uint64_t base)
{
    arch_prctl(ARCH_SET_GS, base);
}
#else
static uint64_t segment_base(void)
{
    return 0;
}

static void set_segment_base(uint64_t base)
{
    (void)base;
}
#endif

uint32_t pack_run(void *instance, const struct afmpeg_pack_host *host)
{
    struct pack_state *state = instance;
    state->host = host;
    state->stack_limit = host->stack_limit;
    uint64_t outer = segment_base();
    set_segment_base((uint64_t)(uintptr_t)host->memory);
    uint32_t ending = enter(state, pack_module_of(state), pack_main);
    set_segment_base(outer);
    return ending;
}

void pack_release(void *instance)
{
    struct pack_state *state = instance;
    while (state->blocks)
        outside_release(state, state->blocks + 1);
}

uint64_t pack_pages(const void *instance)
{
    const struct pack_state *state = instance;
    return state->memory ? state->memory->pages : 0;
}

_Static_assert(offsetof(struct pack_state, stack) == 8, "the assembly below knows where it is");

#if defined(__x86_64__)
__asm__(".text\n"
        ".hidden enter\n"
        ".globl enter\n"
        ".type enter, @function\n"
        "enter:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    subq $8, %rsp\n"
        "    movq %rsp, 8(%rdi)\n"
        "    movq %rsi, %rdi\n"
        "    callq *%rdx\n"
        "    xorl %eax, %eax\n"
        "0:\n"
        "    addq $8, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    retq\n"
        ".size enter, . - enter\n"
        ".hidden pack_leave\n"
        ".globl pack_leave\n"
        ".type pack_leave, @function\n"
        "pack_leave:\n"
        "    movq 8(%rdi), %rsp\n"
        "    movl %esi, %eax\n"
        "    cld\n"
#ifdef __AVX__
        "    vzeroupper\n"
#endif
        "    jmp 0b\n"
        ".size pack_leave, . - pack_leave\n");
#elif defined(__aarch64__)
__asm__(".text\n"
        ".hidden enter\n"
        ".globl enter\n"
        ".type enter, @function\n"
        "enter:\n"
        "    sub sp, sp, #160\n"
        "    stp x29, x30, [sp]\n"
        "    stp x19, x20, [sp, #16]\n"
        "    stp x21, x22, [sp, #32]\n"
        "    stp x23, x24, [sp, #48]\n"
        "    stp x25, x26, [sp, #64]\n"
        "    stp x27, x28, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n"
        "    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        "    mov x9, sp\n"
        "    str x9, [x0, #8]\n"
        "    mov x0, x1\n"
        "    blr x2\n"
        "    mov w0, #0\n"
        "0:\n"
        "    ldp x29, x30, [sp]\n"
        "    ldp x19, x20, [sp, #16]\n"
        "    ldp x21, x22, [sp, #32]\n"
        "    ldp x23, x24, [sp, #48]\n"
        "    ldp x25, x26, [sp, #64]\n"
        "    ldp x27, x28, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n"
        "    ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #160\n"
        "    ret\n"
        ".size enter, . - enter\n"
        ".hidden pack_leave\n"
        ".globl pack_leave\n"
        ".type pack_leave, @function\n"
        "pack_leave:\n"
        "    ldr x9, [x0, #8]\n"
        "    mov sp, x9\n"
        "    mov w0, w1\n"
        "    b 0b\n"
        ".size pack_leave, . - pack_leave\n");
#else
#error "no assembly for this machine"
#endif
